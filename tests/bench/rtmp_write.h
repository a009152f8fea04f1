/* rtmp_write.h -- writes RTMP messages and AMF0 values for either side.
 *
 * A struct rtmp_out owns its memory, which grows; running out ends the program.
 */
#ifndef BENCH_RTMP_WRITE_H
#define BENCH_RTMP_WRITE_H

#include "rtmp_chunks.h"

#include <endian.h>

enum { RTMP_HELLO = 1536 }; /* bytes of each packet of the handshake */

struct rtmp_out {
    uint8_t *data;
    size_t size, room;
};

/* SIZE bytes at the end, to be written by the caller. */
static inline uint8_t *rtmp_more(struct rtmp_out *out, size_t size)
{
    uint8_t *at;

    if (out->size + size > out->room) {
        out->room = 2 * out->room + size;
        out->data = rtmp_memory(realloc(out->data, out->room));
    }
    at = out->data + out->size;
    out->size += size;
    return at;
}

static inline void rtmp_put(struct rtmp_out *out, const void *bytes,
                            size_t size)
{
    memcpy(rtmp_more(out, size), bytes, size);
}

/* SIZE bytes of VALUE, big-endian. */
static inline void rtmp_put_be(struct rtmp_out *out, uint32_t value,
                               unsigned size)
{
    value = htobe32(value);
    rtmp_put(out, (uint8_t *)&value + 4 - size, size);
}

/* A message, in chunks of CHUNK bytes.  FMT 0: TIME is absolute; FMT 1: it is
 * what has passed since the last message of CSID, and ID is that one's. */
static inline void rtmp_put_message(struct rtmp_out *out, uint32_t chunk,
                                    unsigned fmt, unsigned csid,
                                    const struct rtmp_message *m)
{
    uint32_t at = 0, n, id = htole32(m->id);

    rtmp_put_be(out, fmt << 6 | csid, 1);
    rtmp_put_be(out, m->time, 3);
    rtmp_put_be(out, m->size, 3);
    rtmp_put_be(out, m->kind, 1);
    if (fmt == 0)
        rtmp_put(out, &id, 4);
    while (at < m->size) {
        if (at > 0)
            rtmp_put_be(out, 3U << 6 | csid, 1);
        n = m->size - at < chunk ? m->size - at : chunk;
        rtmp_put(out, m->body + at, n);
        at += n;
    }
}

/* A protocol control message: one number, perhaps a second of one byte. */
static inline void rtmp_put_control(struct rtmp_out *out, unsigned kind,
                                    uint32_t value, int second)
{
    struct rtmp_out body = {0};

    rtmp_put_be(&body, value, 4);
    if (second >= 0)
        rtmp_put_be(&body, (uint32_t)second, 1);
    rtmp_put_message(out, RTMP_CHUNK, 0, 2,
                     &(struct rtmp_message){.kind = kind,
                                            .size = (uint32_t)body.size,
                                            .body = body.data});
    free(body.data);
}

static inline void rtmp_put_user(struct rtmp_out *out, unsigned event,
                                 uint32_t value)
{
    uint8_t body[] = {(uint8_t)(event >> 8),  (uint8_t)event,
                      (uint8_t)(value >> 24), (uint8_t)(value >> 16),
                      (uint8_t)(value >> 8),  (uint8_t)value};

    rtmp_put_message(out, RTMP_CHUNK, 0, 2,
                     &(struct rtmp_message){.kind = RTMP_USER,
                                            .size = sizeof(body),
                                            .body = body});
}

static inline void amf_key(struct rtmp_out *out, const char *key)
{
    size_t n = strlen(key);

    rtmp_put_be(out, (uint32_t)n, 2);
    rtmp_put(out, key, n);
}

static inline void amf_string(struct rtmp_out *out, const char *text)
{
    rtmp_put_be(out, 2, 1);
    amf_key(out, text);
}

static inline void amf_number(struct rtmp_out *out, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    bits = htobe64(bits);
    rtmp_put_be(out, 0, 1);
    rtmp_put(out, &bits, sizeof(bits));
}

static inline void amf_null(struct rtmp_out *out)
{
    rtmp_put_be(out, 5, 1);
}

/* Keys and values follow, then amf_end(). */
static inline void amf_object(struct rtmp_out *out)
{
    rtmp_put_be(out, 3, 1);
}

static inline void amf_ecma(struct rtmp_out *out, unsigned count)
{
    rtmp_put_be(out, 8, 1);
    rtmp_put_be(out, count, 4);
}

static inline void amf_end(struct rtmp_out *out)
{
    rtmp_put_be(out, 9, 3);
}

/* The beginning of a command, its name and number. */
static inline void amf_command(struct rtmp_out *out, const char *name,
                               double number)
{
    amf_string(out, name);
    amf_number(out, number);
}

/* Send a command's AMF, which is freed. */
static inline void rtmp_put_command(struct rtmp_out *out, uint32_t chunk,
                                    uint32_t id, struct rtmp_out *amf)
{
    rtmp_put_message(out, chunk, 0, id > 0 ? 8 : 3,
                     &(struct rtmp_message){.kind = RTMP_COMMAND,
                                            .id = id,
                                            .size = (uint32_t)amf->size,
                                            .body = amf->data});
    free(amf->data);
}

/* A command as it came: its name, not ended by a zero, its number, and the
 * value behind the null or object that follows when it is a number. */
struct rtmp_command {
    const char *name;
    unsigned name_size;
    double number, value;
};

static inline double amf_read_number(const uint8_t *p)
{
    uint64_t bits;
    double value;

    memcpy(&bits, p, sizeof(bits));
    bits = be64toh(bits);
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Returns whether M is a command. */
static inline bool rtmp_read_command(const struct rtmp_message *m,
                                     struct rtmp_command *c)
{
    const uint8_t *p = m->body;
    unsigned at;

    if (m->kind != RTMP_COMMAND || m->size < 3 || p[0] != 2)
        return false;
    c->name = (const char *)p + 3;
    c->name_size = (unsigned)p[1] << 8 | p[2];
    at = 3 + c->name_size;
    if (m->size < at + 9 || p[at] != 0)
        return false;
    c->number = amf_read_number(p + at + 1);
    at += 9;
    c->value = m->size >= at + 10 && p[at] == 5 && p[at + 1] == 0
                   ? amf_read_number(p + at + 2)
                   : 0;
    return true;
}

static inline bool rtmp_named(const struct rtmp_command *c, const char *name)
{
    return c->name_size == strlen(name) &&
           memcmp(c->name, name, c->name_size) == 0;
}

#endif

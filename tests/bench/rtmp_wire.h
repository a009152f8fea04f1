/* rtmp_wire.h -- as much of RTMP as its load and its yardstick speak.
 *
 *   basic header   fmt:u2 csid:u6; no longer ones
 *   header         fmt 0: time:u24 size:u24 kind:u8 id:u32le; 1: no id; 2: time
 *                  alone; 3: nothing; a time of FFFFFF is followed by a u32
 */
#ifndef BENCH_RTMP_WIRE_H
#define BENCH_RTMP_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
    RTMP_HANDSHAKE = 1537, /* C0 and C1 */
    RTMP_C2 = 1536,
    RTMP_AUDIO = 8,
    RTMP_VIDEO = 9,
    RTMP_COMMAND = 20,
    RTMP_CSIDS = 64
};

static const uint8_t rtmp_header_size[4] = {11, 7, 3, 0};

static inline uint32_t rtmp_u24(const uint8_t *p)
{
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static inline uint8_t *rtmp_put(uint8_t *at, uint32_t value, int bytes)
{
    for (int i = bytes; i-- > 0;)
        *at++ = (uint8_t)(value >> (8 * i));
    return at;
}

/* The header of a message of SIZE bytes in one chunk, fmt 0, message stream 1
 * but for what is about the connection (csid 2) and commands (csid 3).
 * Returns what comes after it. */
static inline uint8_t *rtmp_header(uint8_t *at, uint8_t csid, uint32_t time,
                                   uint32_t size, uint8_t kind, uint8_t stream)
{
    *at++ = csid;
    at = rtmp_put(at, time, 3);
    at = rtmp_put(at, size, 3);
    *at++ = kind;
    *at++ = stream;
    return rtmp_put(at, 0, 3);
}

static inline uint8_t *rtmp_string(uint8_t *at, const char *text)
{
    size_t n = strlen(text);

    *at++ = 2;
    at = rtmp_put(at, (uint32_t)n, 2);
    memcpy(at, text, n);
    return at + n;
}

/* Small whole numbers only. */
static inline uint8_t *rtmp_number(uint8_t *at, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    *at++ = 0;
    at = rtmp_put(at, (uint32_t)(bits >> 32), 4);
    return rtmp_put(at, (uint32_t)bits, 4);
}

static inline uint8_t *rtmp_property(uint8_t *at, const char *key,
                                     const char *value)
{
    size_t n = strlen(key);

    at = rtmp_put(at, (uint32_t)n, 2);
    memcpy(at, key, n);
    return rtmp_string(at + n, value);
}

/* SetChunkSize */
static inline uint8_t *rtmp_chunk_size(uint8_t *at, uint32_t size)
{
    return rtmp_put(rtmp_header(at, 2, 0, 4, 1, 0), size, 4);
}

/* A cursor over chunks, which counts messages and drops their bodies. */
struct rtmp_reader {
    uint32_t chunk_size;
    uint32_t body; /* bytes left of this chunk's body */
    uint8_t csid;
    uint8_t fill; /* bytes of a header so far, or of a control message */
    uint8_t head[32];
    uint64_t audio, video;
    uint32_t last[RTMP_CSIDS]; /* time of the last message, as read */
    const char *problem;
    struct {
        uint32_t time, delta, size, got;
        uint8_t kind, extended;
    } streams[RTMP_CSIDS];
};

static inline void rtmp_count(struct rtmp_reader *r)
{
    uint8_t kind = r->streams[r->csid].kind;
    uint32_t time = r->streams[r->csid].time;

    if (kind != RTMP_AUDIO && kind != RTMP_VIDEO)
        return;
    if (kind == RTMP_AUDIO)
        r->audio++;
    else
        r->video++;
    if (time < r->last[r->csid])
        r->problem = "time goes back";
    r->last[r->csid] = time;
}

/* The header in r->head is whole: begin its chunk. */
static inline void rtmp_begin(struct rtmp_reader *r, uint32_t extended)
{
    uint8_t fmt = r->head[0] >> 6;
    uint32_t time = 0, left;

    r->csid = r->head[0] & 63;
    if (fmt < 3) {
        time = rtmp_u24(r->head + 1);
        r->streams[r->csid].extended = time == 0xFFFFFF;
        if (time == 0xFFFFFF)
            time = extended;
        r->streams[r->csid].delta = time;
        r->streams[r->csid].time =
            fmt == 0 ? time : r->streams[r->csid].time + time;
    } else if (r->streams[r->csid].got == 0) {
        r->streams[r->csid].time += r->streams[r->csid].delta;
    }
    if (fmt < 2) {
        r->streams[r->csid].size = rtmp_u24(r->head + 4);
        r->streams[r->csid].kind = r->head[7];
    }
    left = r->streams[r->csid].size - r->streams[r->csid].got;
    r->body = left < r->chunk_size ? left : r->chunk_size;
    r->streams[r->csid].got += r->body;
    if (r->streams[r->csid].got == r->streams[r->csid].size) {
        r->streams[r->csid].got = 0;
        rtmp_count(r);
    }
    r->fill = 0;
}

/* Read N bytes at P. */
static inline void rtmp_read(struct rtmp_reader *r, const uint8_t *p, size_t n)
{
    while (n > 0 && !r->problem) {
        uint32_t need, extended;

        if (r->body > 0) {
            uint32_t k = r->body < n ? r->body : (uint32_t)n;

            if (r->streams[r->csid].kind == 1 && k == 4 && r->body == 4)
                r->chunk_size = rtmp_u24(p + 1); /* it came in one piece */
            r->body -= k;
            p += k;
            n -= k;
            continue;
        }
        r->head[r->fill++] = *p++;
        n--;
        if ((r->head[0] & 63) < 2) {
            r->problem = "a long chunk stream id";
            return;
        }
        need = 1U + rtmp_header_size[r->head[0] >> 6];
        extended = (r->head[0] >> 6) == 3
                       ? r->streams[r->head[0] & 63].extended
                       : r->fill >= 4 && rtmp_u24(r->head + 1) == 0xFFFFFF;
        if (r->fill == need + (extended ? 4 : 0))
            rtmp_begin(r, extended ? (uint32_t)r->head[need] << 24 |
                                         rtmp_u24(r->head + need + 1)
                                   : 0);
    }
}

#endif

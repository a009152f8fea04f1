/* rtmp_chunks.h -- reads an RTMP chunk stream, however it is cut in segments.
 *
 * Straightforward C for what the benchmark sends and is sent: chunk streams 2
 * to 63, any of the four headers, extended times that each chunk repeats.  The
 * body of a message is gathered in memory of its own, which the reader owns
 * and frees when the message has been taken.
 */
#ifndef BENCH_RTMP_CHUNKS_H
#define BENCH_RTMP_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    RTMP_STREAMS = 64,
    RTMP_HEADER = 16, /* more is no chunk's header */
    RTMP_CHUNK = 128, /* until a peer says otherwise */
    RTMP_EXTENDED = 0xffffff
};

enum rtmp_kind {
    RTMP_CHUNK_SIZE = 1,
    RTMP_ACK = 3,
    RTMP_USER = 4,
    RTMP_WINDOW = 5,
    RTMP_BANDWIDTH = 6,
    RTMP_AUDIO = 8,
    RTMP_VIDEO = 9,
    RTMP_DATA = 18,
    RTMP_COMMAND = 20
};

/* BODY holds the first KEPT of SIZE bytes, until the callback returns. */
struct rtmp_message {
    unsigned kind;
    uint32_t time, id, size, kept;
    const uint8_t *body;
};

typedef void (*rtmp_message_fn)(void *context, const struct rtmp_message *m);

struct rtmp_stream {
    uint32_t time, delta, size, id;
    uint32_t got, kept; /* bytes of the message so far; those that are kept */
    uint8_t kind;
    bool known, extended;
    bool open; /* a message has begun */
    uint8_t *body;
};

struct rtmp_reader {
    uint32_t chunk; /* size of the peer's chunks */
    uint32_t keep;  /* bytes of an audio or video body that are kept */
    uint32_t piece; /* bytes left of a chunk that has begun */
    unsigned fill;  /* bytes of a header that was cut */
    struct rtmp_stream *at;
    rtmp_message_fn take;
    void *context;
    uint8_t header[RTMP_HEADER];
    struct rtmp_stream streams[RTMP_STREAMS];
};

static inline uint32_t rtmp_be24(const uint8_t *p)
{
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static inline uint32_t rtmp_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | rtmp_be24(p + 1);
}

static inline uint32_t rtmp_le32(const uint8_t *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 |
           p[0];
}

static inline void *rtmp_memory(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

/* Give TAKE each message; of media it gets no more than KEEP bytes. */
static inline void rtmp_reader_init(struct rtmp_reader *r, uint32_t keep,
                                    rtmp_message_fn take, void *context)
{
    memset(r, 0, sizeof(*r));
    r->chunk = RTMP_CHUNK;
    r->keep = keep;
    r->take = take;
    r->context = context;
}

static inline void rtmp_reader_free(struct rtmp_reader *r)
{
    unsigned i;

    for (i = 0; i < RTMP_STREAMS; i++)
        free(r->streams[i].body);
}

/* How long the header at P is; K bytes are there, and more are needed to tell
 * if the answer is over K. */
static inline unsigned rtmp_header_size(const struct rtmp_reader *r,
                                        const uint8_t *p, size_t k)
{
    static const uint8_t sizes[] = {12, 8, 4, 1};
    unsigned fmt, size;

    if (k == 0)
        return 1;
    fmt = p[0] >> 6;
    size = sizes[fmt];
    if (fmt == 3)
        return size + 4 * r->streams[p[0] & 63].extended;
    if (k < 4)
        return size;
    return size + 4 * (rtmp_be24(p + 1) == RTMP_EXTENDED);
}

/* A header that opens a message, but for fmt 3. */
static inline const char *rtmp_header(struct rtmp_stream *s, const uint8_t *p,
                                      unsigned size)
{
    unsigned fmt = p[0] >> 6;
    uint32_t time = rtmp_be24(p + 1);

    if (s->open)
        return "a header inside a message";
    if (fmt == 2 && !s->known)
        return "a chunk stream begins with fmt 2";
    s->extended = time == RTMP_EXTENDED;
    if (s->extended)
        time = rtmp_be32(p + size - 4);
    if (fmt < 2) {
        s->size = rtmp_be24(p + 4);
        s->kind = p[7];
    }
    if (fmt == 0)
        s->id = rtmp_le32(p + 8);
    s->delta = time;
    s->time = fmt == 0 ? time : s->time + time;
    s->known = true;
    return NULL;
}

static inline void rtmp_open(const struct rtmp_reader *r, struct rtmp_stream *s)
{
    s->open = true;
    s->got = 0;
    s->kept = s->size;
    if ((s->kind == RTMP_AUDIO || s->kind == RTMP_VIDEO) && s->kept > r->keep)
        s->kept = r->keep;
    s->body = s->kept > 0 ? rtmp_memory(malloc(s->kept)) : NULL;
}

/* A whole header of SIZE bytes; returns what is wrong with it, or NULL. */
static inline const char *rtmp_begin(struct rtmp_reader *r, const uint8_t *p,
                                     unsigned size)
{
    struct rtmp_stream *s = &r->streams[p[0] & 63];
    const char *wrong;

    if ((p[0] & 63) < 2)
        return "a chunk stream beyond 63";
    if (p[0] >> 6 < 3) {
        wrong = rtmp_header(s, p, size);
        if (wrong)
            return wrong;
    } else if (!s->known) {
        return "a chunk stream begins with fmt 3";
    } else if (!s->open) {
        s->time += s->delta;
    }
    if (!s->open)
        rtmp_open(r, s);
    r->piece = s->size - s->got;
    if (r->piece > r->chunk)
        r->piece = r->chunk;
    r->at = s;
    return NULL;
}

/* Take N bytes of the chunk that has begun. */
static inline void rtmp_piece(struct rtmp_reader *r, const uint8_t *p,
                              uint32_t n)
{
    struct rtmp_stream *s = r->at;
    uint32_t room = s->got < s->kept ? s->kept - s->got : 0;

    if (room > 0)
        memcpy(s->body + s->got, p, n < room ? n : room);
    s->got += n;
    r->piece -= n;
}

/* The message is whole. */
static inline const char *rtmp_end(struct rtmp_reader *r)
{
    struct rtmp_stream *s = r->at;
    struct rtmp_message m = {.kind = s->kind,
                             .time = s->time,
                             .id = s->id,
                             .size = s->size,
                             .kept = s->kept,
                             .body = s->body};

    if (m.kind == RTMP_CHUNK_SIZE) {
        if (m.size < 4 || rtmp_be32(m.body) == 0)
            return "a chunk size of nothing";
        r->chunk = rtmp_be32(m.body);
    }
    r->take(r->context, &m);
    free(s->body);
    s->body = NULL;
    s->open = false;
    return NULL;
}

/* The header at P, of which N bytes are there; returns how many of them were
 * its own, and sets WRONG if it is. */
static inline size_t rtmp_read_header(struct rtmp_reader *r, const uint8_t *p,
                                      size_t n, const char **wrong)
{
    unsigned size, more;
    size_t used = 0;

    if (r->fill == 0) {
        size = rtmp_header_size(r, p, n);
        if (size <= n) {
            *wrong = rtmp_begin(r, p, size);
            return size;
        }
    }
    while ((size = rtmp_header_size(r, r->header, r->fill)) > r->fill) {
        more = size - r->fill;
        if (more > n - used)
            more = (unsigned)(n - used);
        if (more == 0)
            return used;
        memcpy(r->header + r->fill, p + used, more);
        r->fill += more;
        used += more;
    }
    r->fill = 0;
    *wrong = rtmp_begin(r, r->header, size);
    return used;
}

/* Take the next N bytes of the stream; returns what is wrong with them, after
 * which there is no going on, or NULL. */
static inline const char *rtmp_read(struct rtmp_reader *r, const uint8_t *p,
                                    size_t n)
{
    const char *wrong = NULL;
    size_t k;

    while (n > 0 && !wrong) {
        if (r->piece == 0) {
            k = rtmp_read_header(r, p, n, &wrong);
            p += k;
            n -= k;
            if (wrong)
                break;
        }
        k = r->piece < n ? r->piece : n;
        if (k > 0)
            rtmp_piece(r, p, (uint32_t)k);
        p += k;
        n -= k;
        if (r->at && r->at->open && r->at->got == r->at->size)
            wrong = rtmp_end(r);
    }
    return wrong;
}

#endif

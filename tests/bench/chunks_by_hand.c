/* chunks_by_hand.c -- reads the chunks of RTMP in a file, as plain C would.
 *
 *   chunks_by_hand FILE SEGMENT CHUNK
 *
 * The file comes in segments, each copied behind what is left of an unfinished
 * header.  Bodies are gathered in memory that is made for each message, once
 * the first of it is there.  Prints ns a chunk, of the best of several walks.
 */
#define _GNU_SOURCE
#include "rtmp_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WALKS = 500, HEAD_MAX = 18, STREAMS = 64 };

struct stream {
    uint32_t time, delta, size, got, id;
    uint8_t kind;
    uint8_t *body;
};

struct reader {
    uint32_t chunk_size, piece; /* of a chunk's body, bytes that are due */
    struct stream *now;         /* whose body that is */
    size_t fill;                /* bytes of `head` */
    uint8_t head[HEAD_MAX];
    uint64_t chunks, messages, sum;
    struct stream streams[STREAMS];
};

static void finish(struct reader *r, struct stream *s)
{
    r->messages++;
    r->sum += s->body[0] + s->size;
    free(s->body);
    s->body = NULL;
    s->got = 0;
}

static const uint8_t *take_body(struct reader *r, const uint8_t *p,
                                const uint8_t *end)
{
    struct stream *s = r->now;
    size_t n = (size_t)(end - p) < r->piece ? (size_t)(end - p) : r->piece;

    memcpy(s->body + s->got, p, n);
    s->got += (uint32_t)n;
    r->piece -= (uint32_t)n;
    if (r->piece == 0 && s->got == s->size)
        finish(r, s);
    return p + n;
}

/* The size of the header that begins with FIRST and TIME. */
static size_t header_size(const uint8_t *h, size_t n)
{
    size_t size = 1U + rtmp_header_size[h[0] >> 6];

    if (h[0] >> 6 < 3 && n >= 4 && rtmp_u24(h + 1) == 0xFFFFFF)
        size += 4;
    return size;
}

static void begin(struct reader *r, const uint8_t *h)
{
    struct stream *s = &r->streams[h[0] & 63];
    uint8_t fmt = h[0] >> 6;
    uint32_t left;

    if (fmt < 3) {
        s->delta = rtmp_u24(h + 1);
        s->time = fmt == 0 ? s->delta : s->time + s->delta;
    } else if (s->got == 0) {
        s->time += s->delta;
    }
    if (fmt < 2) {
        s->size = rtmp_u24(h + 4);
        s->kind = h[7];
    }
    if (fmt == 0)
        s->id = h[8] | (uint32_t)h[9] << 8 | (uint32_t)h[10] << 16 |
                (uint32_t)h[11] << 24;
    if (!s->body)
        s->body = malloc(s->size ? s->size : 1);
    if (!s->body)
        abort();
    left = s->size - s->got;
    r->piece = left < r->chunk_size ? left : r->chunk_size;
    r->now = s;
    r->chunks++;
}

static void feed(struct reader *r, const uint8_t *p, size_t n)
{
    const uint8_t *end = p + n;

    while (p < end) {
        size_t size;

        if (r->piece > 0) {
            p = take_body(r, p, end);
            continue;
        }
        if (r->fill == 0 && end - p >= HEAD_MAX) {
            size = header_size(p, HEAD_MAX);
            begin(r, p);
            p += size;
            continue;
        }
        r->head[r->fill++] = *p++;
        if (r->fill == header_size(r->head, r->fill)) {
            r->fill = 0;
            begin(r, r->head);
        }
    }
}

static double seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    static struct reader r;
    FILE *file = argc == 4 ? fopen(argv[1], "rb") : NULL;
    static uint8_t text[1 << 24];
    size_t size, segment;
    double best = 1e9;

    if (!file) {
        fprintf(stderr, "usage: chunks_by_hand FILE SEGMENT CHUNK\n");
        return 2;
    }
    size = fread(text, 1, sizeof(text), file);
    fclose(file);
    segment = (size_t)atol(argv[2]);
    r.chunk_size = (uint32_t)atol(argv[3]);
    for (int i = 0; i < WALKS; i++) {
        double took, from = seconds();

        r.chunks = 0;
        for (size_t at = 0; at < size; at += segment)
            feed(&r, text + at, size - at < segment ? size - at : segment);
        took = (seconds() - from) / (double)r.chunks;
        if (took < best)
            best = took;
    }
    printf("%.2f\n", best * 1e9);
    return r.sum == 0;
}

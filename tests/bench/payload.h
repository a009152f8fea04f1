/* payload.h -- messages that no server can have seen before.
 *
 * Message SERIAL of a run is a function of SERIAL alone: a mixed counter, so
 * that neither a string table nor a cache meets the same body twice.  Writes
 * into the caller's memory and owns nothing.
 */
#ifndef BENCH_PAYLOAD_H
#define BENCH_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum payload_kind { PAYLOAD_RAW, PAYLOAD_FRAMED, PAYLOAD_LINE };

enum {
    PAYLOAD_HEADER = 4, /* u32 big-endian, the length of a framed body */
    PAYLOAD_JITTER = 5  /* a line is up to this much longer or shorter */
};

/* A bijection of 64 bits, so different inputs stay different. */
static inline uint64_t payload_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

/* PRINTABLE keeps every byte between space and underscore. */
static inline void payload_fill(unsigned char *p, size_t n, uint64_t serial,
                                int printable)
{
    uint64_t word;
    size_t k;

    for (; n > 0; p += k, n -= k) {
        word = payload_mix(serial);
        serial += 0x9e3779b97f4a7c15U;
        if (printable)
            word = (word & 0x3f3f3f3f3f3f3f3fU) + 0x2020202020202020U;
        k = n < sizeof(word) ? n : sizeof(word);
        memcpy(p, &word, k);
    }
}

/* The most bytes payload_build() writes for SIZE. */
static inline size_t payload_max(size_t size)
{
    return size + PAYLOAD_HEADER + PAYLOAD_JITTER;
}

static inline size_t payload_line(unsigned char *p, size_t size,
                                  uint64_t serial)
{
    size_t n =
        size - PAYLOAD_JITTER + payload_mix(~serial) % (2 * PAYLOAD_JITTER + 1);

    payload_fill(p, n - 1, serial, 1);
    p[n - 1] = '\n';
    return n;
}

/* Write message SERIAL at P, which holds payload_max(SIZE) bytes; returns its
 * length.  SIZE is the body of a frame, and the mean length of a line, its
 * newline included, which must exceed PAYLOAD_JITTER. */
static inline size_t payload_build(unsigned char *p, enum payload_kind kind,
                                   size_t size, uint64_t serial)
{
    if (kind == PAYLOAD_LINE)
        return payload_line(p, size, serial);
    if (kind == PAYLOAD_RAW) {
        payload_fill(p, size, serial, 0);
        return size;
    }
    p[0] = (unsigned char)(size >> 24);
    p[1] = (unsigned char)(size >> 16);
    p[2] = (unsigned char)(size >> 8);
    p[3] = (unsigned char)size;
    payload_fill(p + PAYLOAD_HEADER, size, serial, 0);
    return size + PAYLOAD_HEADER;
}

#endif

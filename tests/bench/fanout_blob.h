/* fanout_blob.h -- the header of a blob that is fanned out, big-endian:
 *
 *   size:u32 sequence:u32 published:f64, seconds of the monotonic clock
 *
 * SIZE counts the header; SEQUENCE counts from 0, so that no two are alike.
 */
#ifndef BENCH_FANOUT_BLOB_H
#define BENCH_FANOUT_BLOB_H

#include <endian.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

enum { BLOB_HEADER = 16 };

static inline double blob_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static inline void blob_header(unsigned char *at, uint32_t size,
                               uint32_t sequence, double published)
{
    uint64_t bits;

    size = htobe32(size);
    sequence = htobe32(sequence);
    memcpy(&bits, &published, sizeof(bits));
    bits = htobe64(bits);
    memcpy(at, &size, 4);
    memcpy(at + 4, &sequence, 4);
    memcpy(at + 8, &bits, 8);
}

static inline void blob_read(const unsigned char *at, uint32_t *size,
                             uint32_t *sequence, double *published)
{
    uint64_t bits;

    memcpy(size, at, 4);
    memcpy(sequence, at + 4, 4);
    memcpy(&bits, at + 8, 8);
    *size = be32toh(*size);
    *sequence = be32toh(*sequence);
    bits = be64toh(bits);
    memcpy(published, &bits, sizeof(bits));
}

#endif

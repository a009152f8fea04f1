/* bulk_bytes.h -- the bytes of a download: each follows from its offset, with
 * a period that no size of a buffer or a record divides.
 */
#ifndef BENCH_BULK_BYTES_H
#define BENCH_BULK_BYTES_H

#include <stddef.h>

enum {
    BULK_PERIOD = 251,
    BULK_PIECE = 1 << 16,                  /* the most at a time */
    BULK_TABLE = BULK_PIECE + BULK_PERIOD, /* so that any piece is in it */
};

static inline void bulk_fill(unsigned char table[BULK_TABLE])
{
    size_t i;

    for (i = 0; i < BULK_TABLE; i++)
        table[i] = (unsigned char)(i % BULK_PERIOD);
}

/* At most BULK_PIECE bytes as they are from OFFSET on. */
static inline const unsigned char *bulk_at(const unsigned char *table,
                                           size_t offset)
{
    return table + offset % BULK_PERIOD;
}

#endif

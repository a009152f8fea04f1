/* histogram.h -- counts of latencies in logarithmic buckets.
 *
 * A bucket is at most 1/64 of its value wide, so a percentile is within 1.6 %
 * of the truth at any magnitude, and adding is a shift and an increment.
 * Knows nothing of what the values mean.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>
#include <string.h>

enum {
    HISTOGRAM_BITS = 6,
    HISTOGRAM_SUB = 1 << HISTOGRAM_BITS,
    HISTOGRAM_SIZE = (64 - HISTOGRAM_BITS + 1) * HISTOGRAM_SUB
};

struct histogram {
    uint64_t total;
    uint64_t max;
    uint64_t count[HISTOGRAM_SIZE];
};

static inline unsigned histogram_index(uint64_t value)
{
    unsigned shift;

    if (value < HISTOGRAM_SUB)
        return (unsigned)value;
    shift = 63U - (unsigned)__builtin_clzll(value) - HISTOGRAM_BITS;
    return (shift + 1) * HISTOGRAM_SUB +
           (unsigned)((value >> shift) & (HISTOGRAM_SUB - 1));
}

/* The middle of a bucket. */
static inline uint64_t histogram_value(unsigned index)
{
    unsigned shift;

    if (index < HISTOGRAM_SUB)
        return index;
    shift = index / HISTOGRAM_SUB - 1;
    return ((uint64_t)(HISTOGRAM_SUB + index % HISTOGRAM_SUB) << shift) +
           (((uint64_t)1 << shift) >> 1);
}

static inline void histogram_reset(struct histogram *h)
{
    memset(h, 0, sizeof(*h));
}

static inline void histogram_add(struct histogram *h, uint64_t value)
{
    h->count[histogram_index(value)]++;
    h->total++;
    if (value > h->max)
        h->max = value;
}

/* The value below which FRACTION of the values lie; 0 when there are none. */
static inline uint64_t histogram_at(const struct histogram *h, double fraction)
{
    uint64_t seen = 0, want = (uint64_t)((double)h->total * fraction);
    unsigned i;

    for (i = 0; i < HISTOGRAM_SIZE; i++) {
        seen += h->count[i];
        if (seen > want)
            return histogram_value(i);
    }
    return h->max;
}

#endif

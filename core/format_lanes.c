/* format_lanes.c -- prepares a plain format for reading two numbers at a time.
 *
 * Each number's bytes are moved by one shuffle to where a double has its lowest
 * mantissa bits; below an exponent of 2^52 they are then the number itself, but
 * for 2^52 to subtract.  A bit field stays where it is in its bytes, and the
 * bits below it are divided out: powers of 2 are exact.
 */
#include <stdlib.h>
#include <string.h>

#include "format_ops.h"

/* Bits below the field in the bytes that it touches. */
static uint32_t bits_below(const struct ld_gather *g)
{
    return g->big ? g->shift - (64 - 8 * g->len) : g->shift;
}

static bool is_narrow(const struct ld_gather *g)
{
    uint64_t top = UINT64_C(1) << 52;

    return g->len < 8 && g->mask < top && g->mask << bits_below(g) < top;
}

static void fill_lane(struct ld_lanes *lanes, uint32_t i,
                      const struct ld_gather *g)
{
    uint32_t below = bits_below(g);
    uint32_t k;

    lanes->off[i] = g->off;
    for (k = 0; k < g->len; k++)
        lanes->shuffle[8 * i + k] =
            (uint8_t)(8 * i + (g->big ? g->len - 1 - k : k));
    lanes->mask[i] = g->mask << below;
    lanes->scale[i] = 1.0 / (double)(UINT64_C(1) << below);
    if (lanes->mask[i] != UINT64_MAX >> (64 - 8 * g->len))
        lanes->partial = 1;
}

bool ld_format_lanes(struct ld_format *f)
{
    uint32_t n = f->ops->gathers;
    uint32_t i;

#if defined(__x86_64__)
    if (!__builtin_cpu_supports("ssse3"))
        return true;
#else
    return true;
#endif
    for (i = 0; i < n; i++)
        if (!is_narrow(&f->gathers[i]))
            return true;
    f->lanes = aligned_alloc(16, (n + 1) / 2 * sizeof(*f->lanes));
    if (!f->lanes)
        return false;
    memset(f->lanes, 0, (n + 1) / 2 * sizeof(*f->lanes));
    for (i = 0; i < n; i++) {
        if (i % 2 == 0)
            memset(f->lanes[i / 2].shuffle, 0x80, 16);
        fill_lane(&f->lanes[i / 2], i % 2, &f->gathers[i]);
    }
    return true;
}

/* unpack_lanes.c -- reads the numbers of a plain format two at a time, where
 * the processor can shuffle bytes.  See format_lanes.c for how it works.
 */
#include "unpack_cursor.h"

#if defined(__x86_64__)

#include <tmmintrin.h>

#define SHUFFLES __attribute__((target("ssse3")))

SHUFFLES static inline __m128d gather_two(const struct ld_lanes *l,
                                          const uint8_t *frame)
{
    const __m128d magic = _mm_set1_pd(0x1p52);
    __m128d two;
    __m128i x;
    double low;
    double high;

    memcpy(&low, frame + l->off[0], sizeof(low));
    memcpy(&high, frame + l->off[1], sizeof(high));
    two = _mm_set_pd(high, low);
    x = _mm_shuffle_epi8(_mm_castpd_si128(two),
                         *(const __m128i *)(const void *)l->shuffle);
    if (l->partial)
        x = _mm_and_si128(x, *(const __m128i *)(const void *)l->mask);
    two = _mm_or_pd(_mm_castsi128_pd(x), magic);
    two = _mm_sub_pd(two, magic);
    if (l->partial)
        two = _mm_mul_pd(two, *(const __m128d *)(const void *)l->scale);
    return two;
}

SHUFFLES enum ld_status ld_unpack_lanes(const struct ld_format *f,
                                        struct ld_parse *p,
                                        const uint8_t *frame, union ld_value *v)
{
    const struct ld_lanes *l = f->lanes;
    uint32_t n = f->ops->gathers;

    p->pos = f->plain;
    p->count = n;
    for (; n >= 2; n -= 2, v += 2)
        _mm_storeu_pd(&v->n, gather_two(l++, frame));
    if (n > 0)
        _mm_store_sd(&v->n, gather_two(l, frame));
    return LD_OK;
}

#else

/* Cannot happen: such a format has no lanes. */
enum ld_status ld_unpack_lanes(const struct ld_format *f, struct ld_parse *p,
                               const uint8_t *frame, union ld_value *v)
{
    return ld_unpack_careful(f, p, frame, f->plain, f->plain, v);
}

#endif

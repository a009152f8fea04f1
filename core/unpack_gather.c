/* unpack_gather.c -- reads one field of fixed size, of any kind. */
#include "unpack_cursor.h"

/* Any NaN is this one: LuaJIT keeps what a value is in the bits of others, so
 * that a peer could make up whatever it likes. */
static const uint64_t the_nan = 0xfff8000000000000;

static void set_double(union ld_value *value, double x)
{
    value->n = x;
    if (x != x)
        value->u = the_nan;
}

static double read_float(const struct ld_gather *g, const uint8_t *base)
{
    uint32_t half = (uint32_t)(ld_load(base + g->off, g->big) >> g->shift);
    float f;

    memcpy(&f, &half, sizeof(f));
    return f;
}

bool ld_gather_any(const struct ld_gather *g, const uint8_t *base, uint64_t pos,
                   int64_t *regs, union ld_value *value)
{
    uint64_t x;

    switch (g->kind) {
    case LD_GATHER_BYTES:
        value->s.off = (uint32_t)(pos + g->off);
        value->s.len = g->len;
        return true;
    case LD_GATHER_FLOAT: set_double(value, read_float(g, base)); return true;
    case LD_GATHER_DOUBLE:
        value->u = ld_load(base + g->off, g->big);
        set_double(value, value->n);
        return true;
    }
    x = ld_extend(ld_gather(g, base, g->big), g->sign);
    if (g->save >= 0)
        regs[g->save] = (int64_t)x;
    if (g->kind == LD_GATHER_RAW) {
        value->u = x;
        return true;
    }
    value->n = g->sign ? (double)(int64_t)x : (double)x;
    return g->kind != LD_GATHER_WIDE || ld_is_exact(x, g->sign);
}

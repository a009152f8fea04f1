/* unpack.c -- the way that frames take when all their bytes are there.
 *
 * Where anything is missing or wrong, and at ops that are rare, the careful
 * interpreter takes over at that op and finds out what it is.  So this file
 * has no outcome but LD_OK, and its state stays in registers.
 */
#include "unpack_cursor.h"

/* The length of a varint that is short enough for one load; 0 if it is not. */
static inline uint64_t short_varint(uint8_t enc, const uint8_t *at,
                                    uint64_t *value)
{
    uint64_t x = ld_load(at, enc == LD_ENC_QUIC);
    uint64_t size;

    if (enc == LD_ENC_QUIC) {
        size = UINT64_C(1) << (x >> 62);
        *value = x << 2 >> (66 - 8 * size);
        return size;
    }
    if (enc == LD_ENC_DECIMAL)
        return 0;
    *value = x & 127;
    if (!(x & 0x80))
        return 1;
    *value |= x >> 1 & 0x3f80;
    return x & 0x8000 ? 0 : 2;
}

static inline void gather_ints(const struct ld_gather *g, uint32_t n,
                               const uint8_t *base, union ld_value *v)
{
    const struct ld_gather *end = g + n;

    for (; g < end; g++, v++)
        v->n = (double)(int64_t)ld_gather(g, base, g->big);
}

/* The fields of a run.  False when one is out of range. */
static inline bool gather_run(const struct ld_format *f, const struct ld_op *op,
                              const uint8_t *frame, uint64_t pos, int64_t *regs,
                              union ld_value *v)
{
    const struct ld_gather *g = f->gathers + op->at;
    const struct ld_gather *end = g + op->gathers;

    while (g < end) {
        if (g->kind == LD_GATHER_INT) {
            gather_ints(g, g->alike, frame + pos, v);
            v += g->alike;
            g += g->alike;
        } else if (!ld_gather_any(g++, frame + pos, pos, regs, v++)) {
            return false;
        }
    }
    return true;
}

static enum ld_status run(const struct ld_format *f, struct ld_parse *p,
                          const uint8_t *frame, size_t avail, size_t limit,
                          union ld_value *values)
{
    const struct ld_op *op = f->ops + p->pc;
    union ld_value *v = values + p->count;
    uint64_t pos = p->pos;
    uint64_t most = limit < LD_FORMAT_BIG ? limit : LD_FORMAT_BIG;
    uint64_t start;
    uint64_t len;

    for (;; op++) {
        switch (op->code) {
        case LD_OP_DONE:
            p->pos = (uint32_t)pos;
            p->count = (uint32_t)(v - values);
            return LD_OK;
        case LD_OP_FIXED:
            start = pos + op->n;
            if (start > avail || start + op->rest > most ||
                !gather_run(f, op, frame, pos, p->regs, v))
                goto careful;
            v += op->gathers;
            pos = start;
            continue;
        case LD_OP_PREFIXED:
            start = pos + op->size;
            len = ld_load(frame + pos, op->big);
            len = op->big ? len >> (64 - 8 * op->size) : len & op->mask;
            break;
        case LD_OP_COUNTED:
            start = pos + short_varint(op->enc, frame + pos, &len);
            if (start == pos)
                goto careful;
            break;
        case LD_OP_BYTES:
            start = pos;
            len = (uint64_t)p->regs[op->ref];
            if (len > LD_FORMAT_BIG)
                goto careful;
            len += (uint64_t)op->adjust;
            break;
        default: goto careful;
        }
        if (start > avail || len > op->max || len > avail - start ||
            start + len + op->rest > most)
            goto careful;
        if (!op->hidden) {
            v->s.off = (uint32_t)start;
            v->s.len = (uint32_t)len;
            v++;
        }
        pos = start + len;
    }
careful:
    p->pos = (uint32_t)pos;
    p->count = (uint32_t)(v - values);
    p->pc = (uint32_t)(op - f->ops);
    return ld_unpack_careful(f, p, frame, avail, limit, values);
}

enum ld_status ld_unpack(const struct ld_format *f, struct ld_parse *p,
                         const uint8_t *frame, size_t avail, size_t limit,
                         union ld_value *values)
{
    uint32_t n = f->plain;

    if (n == 0 || n > avail || n > limit)
        return run(f, p, frame, avail, limit, values);
    gather_ints(f->gathers, f->ops->gathers, frame, values);
    p->pos = n;
    p->count = f->ops->gathers;
    return LD_OK;
}

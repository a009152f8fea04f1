/* unpack.c -- the way that frames take when all their bytes are there.
 *
 * Where anything is missing or wrong, and at ops that are rare, the careful
 * interpreter takes over at that op and finds out what it is.  So nothing here
 * has an outcome but success, and all state stays in registers: every function
 * that takes a struct quick must be inlined.
 */
#include "unpack_cursor.h"

#define INLINED static inline __attribute__((always_inline))

struct quick {
    const struct ld_format *f;
    struct ld_parse *p;
    const uint8_t *frame;
    union ld_value *v; /* where the next value goes */
    uint64_t avail;
    uint64_t limit;
    uint64_t pos;
};

/* The length of a varint that is short enough for one load; 0 if it is not. */
INLINED uint64_t short_varint(uint8_t enc, const uint8_t *at, uint64_t *value)
{
    uint64_t x = ld_load(at, enc == LD_ENC_QUIC);
    uint64_t size;

    if (enc == LD_ENC_QUIC) {
        size = UINT64_C(1) << (x >> 62);
        *value = x << 2 >> (66 - 8 * size);
        return size;
    }
    *value = x & 127;
    if (!(x & 0x80))
        return 1;
    *value |= x >> 1 & 0x3f80;
    return x & 0x8000 ? 0 : 2;
}

INLINED void gather_ints(const struct ld_gather *g, uint32_t n,
                         const uint8_t *base, union ld_value *v)
{
    const struct ld_gather *end = g + n;

    for (; g < end; g++, v++)
        v->n = (double)(int64_t)ld_gather(g, base, g->big);
}

/* The fields of a run that are not of the most common kind. */
INLINED bool gather_other(struct quick *q, const struct ld_gather *g,
                          const uint8_t *base)
{
    uint64_t x;

    if (g->kind != LD_GATHER_SIGNED)
        return ld_gather_any(g, base, q->pos, q->p->regs, q->v++);
    x = ld_extend(ld_gather(g, base, g->big), g->sign);
    if (g->save >= 0)
        q->p->regs[g->save] = (int64_t)x;
    q->v++->n = (double)(int64_t)x;
    return true;
}

/* False also when a number is out of range: the values are then redone. */
INLINED bool run_fixed(struct quick *q, const struct ld_op *op)
{
    const struct ld_gather *g = q->f->gathers + op->at;
    const struct ld_gather *last = g + op->gathers;
    const uint8_t *base = q->frame + q->pos;
    union ld_value *v = q->v;
    uint64_t end = q->pos + op->n;

    if (end > q->avail || end + op->rest > q->limit)
        return false;
    while (g < last) {
        if (g->kind == LD_GATHER_INT) {
            gather_ints(g, g->alike, base, q->v);
            q->v += g->alike;
            g += g->alike;
        } else if (!gather_other(q, g++, base)) {
            q->v = v;
            return false;
        }
    }
    q->pos = end;
    return true;
}

INLINED void push(struct quick *q, const struct ld_op *op, uint64_t off,
                  uint64_t len)
{
    if (op->hidden)
        return;
    q->v->s.off = (uint32_t)off;
    q->v->s.len = (uint32_t)len;
    q->v++;
}

/* LEN bytes, SIZE behind the position. */
INLINED bool take(struct quick *q, const struct ld_op *op, uint64_t size,
                  uint64_t len)
{
    uint64_t start = q->pos + size;

    if (start > q->avail || len > op->max || len > q->avail - start ||
        start + len + op->rest > q->limit)
        return false;
    push(q, op, start, len);
    q->pos = start + len;
    return true;
}

INLINED bool run_prefixed(struct quick *q, const struct ld_op *op)
{
    uint64_t len = ld_load(q->frame + q->pos, op->big);

    len = op->big ? len >> (64 - 8 * op->size) : len & op->mask;
    return take(q, op, op->size, len);
}

/* The length, delimiter included, of a decimal of one to seven digits; 0 when
 * it is anything else.  The slack makes eight bytes readable. */
INLINED uint64_t short_decimal(struct quick *q, const struct ld_op *op,
                               uint64_t *value)
{
    const uint8_t *at = q->frame + q->pos;
    uint64_t x = 0;
    uint32_t i = 0;
    uint32_t digit;

    for (; i < 8 && (digit = at[i] - (unsigned)'0') <= 9; i++)
        x = x * 10 + digit;
    if (i == 0 || i == 8 || i > op->max ||
        q->pos + i + op->text_len > q->avail ||
        (ld_load_raw(at + i) ^ op->delimiter) & op->mask)
        return 0;
    q->p->scan = 0;
    *value = x;
    return i + op->text_len;
}

INLINED bool run_counted(struct quick *q, const struct ld_op *op)
{
    uint64_t size;
    uint64_t len;

    if (op->enc == LD_ENC_DECIMAL)
        size = short_decimal(q, op, &len);
    else
        size = short_varint(op->enc, q->frame + q->pos, &len);
    return size > 0 && take(q, op, size, len);
}

/* Decimals only. */
INLINED bool run_number(struct quick *q, const struct ld_op *op)
{
    uint64_t size;
    uint64_t x;

    if (op->enc != LD_ENC_DECIMAL || op->result != LD_FIELD_NUMBER)
        return false;
    size = short_decimal(q, op, &x);
    if (size == 0 || q->pos + size + op->rest > q->limit)
        return false;
    if (op->save >= 0)
        q->p->regs[op->save] = (int64_t)x;
    if (!op->hidden)
        q->v++->n = (double)(int64_t)x;
    q->pos += size;
    return true;
}

INLINED bool run_bytes(struct quick *q, const struct ld_op *op)
{
    uint64_t len = (uint64_t)q->p->regs[op->ref];

    return len <= LD_FORMAT_BIG &&
           take(q, op, 0, len + (uint64_t)(int64_t)op->adjust);
}

/* A delimiter of one byte.  What was searched in vain is not searched again. */
INLINED bool run_until(struct quick *q, const struct ld_op *op)
{
    const uint8_t *at = q->frame + q->pos;
    uint64_t room = (uint64_t)op->max + op->line + 1;
    uint64_t n = q->avail - q->pos;
    const uint8_t *end;
    uint64_t len;

    if (op->text_len > 1 || q->pos + op->rest >= q->limit)
        return false;
    n = n < room ? n : room;
    room = q->limit - op->rest - q->pos;
    n = n < room ? n : room;
    end = memchr(at + q->p->scan, (uint8_t)q->f->text[op->at], n - q->p->scan);
    q->p->scan = end ? 0 : (uint32_t)n;
    if (!end)
        return false;
    n = (uint64_t)(end - at);
    len = n - (op->line && n > 0 && end[-1] == '\r');
    if (len > op->max)
        return false;
    push(q, op, q->pos, len);
    q->pos += n + 1;
    return true;
}

INLINED bool run_literal(struct quick *q, const struct ld_op *op)
{
    uint64_t end = q->pos + op->n;

    if (op->n > 8 || end > q->avail || end + op->rest > q->limit ||
        (ld_load_raw(q->frame + q->pos) ^ op->delimiter) & op->mask)
        return false;
    q->p->scan = 0;
    q->pos = end;
    return true;
}

/* Ops from OP on.  Returns the one that needs care, or the last. */
INLINED const struct ld_op *run(struct quick *q, const struct ld_op *op)
{
    for (;; op++) {
        bool done;

        switch (op->code) {
        case LD_OP_FIXED: done = run_fixed(q, op); break;
        case LD_OP_PREFIXED: done = run_prefixed(q, op); break;
        case LD_OP_COUNTED: done = run_counted(q, op); break;
        case LD_OP_NUMBER: done = run_number(q, op); break;
        case LD_OP_BYTES: done = run_bytes(q, op); break;
        case LD_OP_UNTIL: done = run_until(q, op); break;
        case LD_OP_LITERAL: done = run_literal(q, op); break;
        default: return op;
        }
        if (!done)
            return op;
    }
}

static enum ld_status unpack(const struct ld_format *f, struct ld_parse *p,
                             const uint8_t *frame, size_t avail, size_t limit,
                             union ld_value *values)
{
    struct quick q;
    const struct ld_op *op;

    q.f = f;
    q.p = p;
    q.frame = frame;
    q.v = values + p->count;
    q.avail = avail;
    q.limit = limit < LD_FORMAT_BIG ? limit : LD_FORMAT_BIG;
    q.pos = p->pos;
    op = run(&q, f->ops + p->pc);
    p->pos = (uint32_t)q.pos;
    p->count = (uint32_t)(q.v - values);
    if (op->code == LD_OP_DONE)
        return LD_OK;
    p->pc = (uint32_t)(op - f->ops);
    return ld_unpack_careful(f, p, frame, avail, limit, values);
}

enum ld_status ld_unpack(const struct ld_format *f, struct ld_parse *p,
                         const uint8_t *frame, size_t avail, size_t limit,
                         union ld_value *values)
{
    uint32_t n = f->plain;

    if (n == 0 || n > avail || n > limit)
        return unpack(f, p, frame, avail, limit, values);
    if (f->lanes)
        return ld_unpack_lanes(f, p, frame, values);
    gather_ints(f->gathers, f->ops->gathers, frame, values);
    p->pos = n;
    p->count = f->ops->gathers;
    return LD_OK;
}

/* unpack_careful.c -- runs ops with every check and every outcome.
 *
 * Each op is all or nothing: it checks the limits, then the bytes, and only
 * then moves.  So a suspended frame is its op, its position and, inside a
 * delimited field, how far that was searched; the rest is on the stack.
 */
#include "unpack_cursor.h"

/* The run is longer than the frame may be: blame the field that crosses. */
static enum ld_status run_too_long(struct ld_cursor *r, const struct ld_op *op)
{
    const struct ld_gather *g = r->f->gathers + op->at;
    uint32_t field = op->field;
    uint32_t i;

    for (i = 0; i < op->gathers; i++) {
        field = g[i].field;
        if (r->pos + g[i].off + g[i].len > r->limit)
            break;
    }
    return ld_cursor_fail(r, LD_LIMIT, field, r->pos);
}

/* The checks of a run, before it is read. */
static enum ld_status enter_run(struct ld_cursor *r, const struct ld_op *op)
{
    uint64_t end = r->pos + op->n;

    if (!ld_cursor_fits(r, op, end))
        return run_too_long(r, op);
    return end > r->avail ? ld_cursor_suspend(r, end) : LD_OK;
}

static enum ld_status run_fixed(struct ld_cursor *r, const struct ld_op *op)
{
    const struct ld_gather *g = r->f->gathers + op->at;
    const struct ld_gather *end = g + op->gathers;
    enum ld_status st = enter_run(r, op);

    if (st)
        return st;
    for (; g < end; g++)
        if (!ld_gather_any(g, r->frame + r->pos, r->pos, r->p->regs,
                           &r->values[r->count++]))
            return ld_cursor_fail(r, LD_RANGE, g->field, r->pos + g->off);
    r->pos += op->n;
    return LD_OK;
}

static enum ld_status run_prefixed(struct ld_cursor *r, const struct ld_op *op)
{
    uint64_t start = r->pos + op->size;
    uint64_t len;

    if (!ld_cursor_fits(r, op, start))
        return ld_cursor_too_long(r, op);
    if (start > r->avail)
        return ld_cursor_suspend(r, start);
    len = ld_load(r->frame + r->pos, op->big);
    len = op->big ? len >> (64 - 8 * op->size) : len & op->mask;
    return ld_cursor_take_bytes(r, op, start, len);
}

static enum ld_status run_bytes(struct ld_cursor *r, const struct ld_op *op)
{
    int64_t len = r->p->regs[op->ref];

    if (len > UINT32_MAX)
        return ld_cursor_too_long(r, op);
    len = len < 0 ? len : len + op->adjust;
    if (len < 0)
        return ld_cursor_fail(r, LD_RANGE, op->field, r->pos);
    return ld_cursor_take_bytes(r, op, r->pos, (uint64_t)len);
}

static enum ld_status run_align(struct ld_cursor *r, const struct ld_op *op)
{
    uint64_t end = (r->pos + op->size - 1) & ~(uint64_t)(op->size - 1);

    if (!ld_cursor_fits(r, op, end))
        return ld_cursor_too_long(r, op);
    if (end > r->avail)
        return ld_cursor_suspend(r, end);
    r->pos = end;
    return LD_OK;
}

/* Whether there is room for one more iteration's values, and for all that can
 * come before the next check. */
static bool has_room(const struct ld_cursor *r, const struct ld_op *repeat)
{
    return r->count + repeat->reserve <= LD_FORMAT_VALUES;
}

static enum ld_status enter_repeat(struct ld_cursor *r, const struct ld_op *op)
{
    int64_t n = op->ref < 0 ? op->n : r->p->regs[op->ref];
    uint64_t times = (uint64_t)n;
    struct ld_loop *loop;

    if (n < 0)
        return ld_cursor_fail(r, LD_RANGE, op->field, r->pos);
    if (times > op->max || !ld_cursor_fits(r, op, r->pos + times * op->body) ||
        r->count + 1 + times * op->body_values > LD_FORMAT_VALUES)
        return ld_cursor_too_long(r, op);
    r->values[r->count++].n = (double)n;
    if (n == 0) {
        r->pc = op->jump;
        return LD_OK;
    }
    if (!has_room(r, op))
        return ld_cursor_too_long(r, op);
    loop = &r->p->loops[r->p->depth++];
    loop->pc = ++r->pc;
    loop->left = (uint32_t)n;
    return LD_OK;
}

static enum ld_status next_iteration(struct ld_cursor *r)
{
    struct ld_loop *loop = &r->p->loops[r->p->depth - 1];
    const struct ld_op *repeat = &r->f->ops[loop->pc - 1];

    if (--loop->left == 0) {
        r->p->depth--;
        r->pc++;
        return LD_OK;
    }
    if (!has_room(r, repeat))
        return ld_cursor_too_long(r, repeat);
    r->pc = loop->pc;
    return LD_OK;
}

static void enter_if(struct ld_cursor *r, const struct ld_op *op)
{
    int64_t x = r->p->regs[op->ref];
    bool yes = x != 0;

    if (op->operator== LD_TEST_EQUAL)
        yes = x == op->operand;
    else if (op->operator== LD_TEST_AND)
        yes = (x & op->operand) != 0;
    r->values[r->count++].n = yes;
    r->pc = yes ? r->pc + 1 : op->jump;
}

/* One op.  Those that move the program counter return at once. */
static enum ld_status step(struct ld_cursor *r, const struct ld_op *op)
{
    enum ld_status st = LD_OK;

    switch (op->code) {
    case LD_OP_FIXED: st = run_fixed(r, op); break;
    case LD_OP_PREFIXED: st = run_prefixed(r, op); break;
    case LD_OP_COUNTED: st = ld_unpack_counted(r, op); break;
    case LD_OP_NUMBER: st = ld_unpack_number(r, op); break;
    case LD_OP_BYTES: st = run_bytes(r, op); break;
    case LD_OP_UNTIL: st = ld_unpack_until(r, op); break;
    case LD_OP_LITERAL: st = ld_unpack_literal(r, op); break;
    case LD_OP_ALIGN: st = run_align(r, op); break;
    case LD_OP_REPEAT: return enter_repeat(r, op);
    case LD_OP_NEXT: return next_iteration(r);
    case LD_OP_IF: enter_if(r, op); return LD_OK;
    }
    r->pc += !st;
    return st;
}

enum ld_status ld_unpack_careful(const struct ld_format *f, struct ld_parse *p,
                                 const uint8_t *frame, size_t avail,
                                 size_t limit, union ld_value *values)
{
    struct ld_cursor r;
    const struct ld_op *op;
    enum ld_status st;

    r.f = f;
    r.p = p;
    r.frame = frame;
    r.values = values;
    r.avail = avail;
    r.limit = limit < LD_FORMAT_BIG ? limit : LD_FORMAT_BIG;
    r.pos = p->pos;
    r.count = p->count;
    r.pc = p->pc;
    while ((op = &f->ops[r.pc])->code != LD_OP_DONE) {
        st = step(&r, op);
        if (st)
            return st;
    }
    p->pos = (uint32_t)r.pos;
    p->count = r.count;
    return LD_OK;
}

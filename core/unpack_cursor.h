/* unpack_cursor.h -- where the interpreter stands, and the few things that all
 * ops do.  Private to unpack.c, unpack_number.c and unpack_until.c.
 */
#ifndef LD_UNPACK_CURSOR_H
#define LD_UNPACK_CURSOR_H

#include <string.h>

#include "format_ops.h"
#include "unpack.h"

struct ld_cursor {
    const struct ld_format *f;
    struct ld_parse *p;
    const uint8_t *frame;
    union ld_value *values;
    uint64_t avail;
    uint64_t limit;
    uint64_t pos;
    uint32_t count;
    uint32_t pc;
};

static inline uint64_t ld_load_raw(const uint8_t *at)
{
    uint64_t x;

    memcpy(&x, at, sizeof(x));
    return x;
}

/* The integer whose first byte is AT's lowest, or highest if BIG. */
static inline uint64_t ld_load(const uint8_t *at, bool big)
{
    uint64_t x = ld_load_raw(at);

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    big = !big;
#endif
    return big ? __builtin_bswap64(x) : x;
}

/* Whether a double holds X, taken as signed if SIGN. */
static inline bool ld_is_exact(uint64_t x, bool sign)
{
    if (!sign)
        return x <= LD_FORMAT_EXACT;
    return (int64_t)x <= LD_FORMAT_EXACT && (int64_t)x >= -LD_FORMAT_EXACT;
}

static inline uint64_t ld_gather(const struct ld_gather *g, const uint8_t *base,
                                 bool big)
{
    return ld_load(base + g->off, big) >> g->shift & g->mask;
}

static inline uint64_t ld_extend(uint64_t x, uint64_t sign)
{
    return (x ^ sign) - sign;
}

/* One field of any kind, of a run at BASE, offset POS of the frame.  False
 * when its number is not exact. */
bool ld_gather_any(const struct ld_gather *g, const uint8_t *base, uint64_t pos,
                   int64_t *regs, union ld_value *value);

static inline enum ld_status ld_cursor_fail(struct ld_cursor *r,
                                            enum ld_status st, uint32_t field,
                                            uint64_t at)
{
    r->p->field = field;
    r->p->pos = (uint32_t)at;
    return st;
}

static inline enum ld_status ld_cursor_too_long(struct ld_cursor *r,
                                                const struct ld_op *op)
{
    return ld_cursor_fail(r, LD_LIMIT, op->field, r->pos);
}

static inline enum ld_status ld_cursor_suspend(struct ld_cursor *r,
                                               uint64_t need)
{
    r->p->need = (uint32_t)need;
    r->p->pos = (uint32_t)r->pos;
    r->p->count = r->count;
    r->p->pc = r->pc;
    return LD_AGAIN;
}

/* Whether a frame in which OP ends at END can be within its limit. */
static inline bool ld_cursor_fits(const struct ld_cursor *r,
                                  const struct ld_op *op, uint64_t end)
{
    return end + op->rest <= r->limit;
}

static inline void ld_cursor_push_bytes(struct ld_cursor *r, uint64_t off,
                                        uint64_t len)
{
    r->values[r->count].s.off = (uint32_t)off;
    r->values[r->count++].s.len = (uint32_t)len;
}

/* LEN bytes from START become OP's value, and it ends there. */
static inline enum ld_status ld_cursor_take_bytes(struct ld_cursor *r,
                                                  const struct ld_op *op,
                                                  uint64_t start, uint64_t len)
{
    uint64_t end = start + len;

    if (len > op->max || !ld_cursor_fits(r, op, end))
        return ld_cursor_too_long(r, op);
    if (end > r->avail)
        return ld_cursor_suspend(r, end);
    if (!op->hidden)
        ld_cursor_push_bytes(r, start, len);
    r->pos = end;
    return LD_OK;
}

/* ld_unpack() with every check; goes on from where P stands. */
enum ld_status ld_unpack_careful(const struct ld_format *f, struct ld_parse *p,
                                 const uint8_t *frame, size_t avail,
                                 size_t limit, union ld_value *values);

/* A plain format with lanes, all of whose bytes are there. */
enum ld_status ld_unpack_lanes(const struct ld_format *f, struct ld_parse *p,
                               const uint8_t *frame, union ld_value *v);

/* Ops of their own files. */
enum ld_status ld_unpack_number(struct ld_cursor *r, const struct ld_op *op);
enum ld_status ld_unpack_counted(struct ld_cursor *r, const struct ld_op *op);
enum ld_status ld_unpack_until(struct ld_cursor *r, const struct ld_op *op);
enum ld_status ld_unpack_literal(struct ld_cursor *r, const struct ld_op *op);

#endif

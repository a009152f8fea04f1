/* format_emit.c -- turns the nodes of a format into the ops that unpack.c runs.
 *
 * Neighbours of fixed size become one run with one length check; alignment
 * whose padding is known becomes part of a run.
 */
#include "format_ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct emitter {
    struct ld_format *f;
    struct ld_format_error *err;
    uint32_t op_count;
    uint32_t gather_count;
    struct ld_op *run;  /* the run that grows, or NULL */
    uint32_t bits_off;  /* where in it the current bit group starts */
    uint32_t modulus;   /* the position is known modulo this power of 2 */
    uint32_t remainder; /* to be this */
    uint32_t field;     /* fields seen so far */
    uint32_t depth;
    uint32_t open[LD_FORMAT_NESTING]; /* ops of the groups that are open */
};

static bool fail(struct ld_format_error *err, uint32_t column, const char *why)
{
    err->column = column;
    snprintf(err->message, sizeof(err->message), "%s", why);
    return false;
}

/* The field to blame for what is no field itself: the next, else the last. */
static uint16_t nearest_field(const struct emitter *e)
{
    uint32_t i = e->field;
    uint32_t count = e->f->field_count;

    if (i < count && e->f->fields[i].kind != LD_FIELD_END)
        return (uint16_t)i;
    while (i > 0)
        if (e->f->fields[--i].kind != LD_FIELD_END)
            return (uint16_t)i;
    return 0;
}

static struct ld_op *add_op(struct emitter *e, uint8_t code,
                            const struct ld_node *node)
{
    struct ld_op *op = &e->f->ops[e->op_count++];

    e->run = NULL;
    op->code = code;
    op->enc = node->enc;
    op->size = node->size;
    op->big = node->big;
    op->sign = node->sign;
    op->result = node->result;
    op->hidden = node->hidden;
    op->line = node->line;
    op->operator= node->operator;
    op->save = node->save;
    op->ref = node->ref;
    op->n = node->n;
    op->max = node->max;
    op->at = node->text;
    op->text_len = (uint8_t)node->text_len;
    op->adjust = node->adjust;
    op->operand = node->operand;
    op->field = node->field >= 0 ? (uint16_t)node->field : nearest_field(e);
    return op;
}

/* The delimiter, or the first bytes of a literal, as one 8-byte load. */
static void set_delimiter(const struct emitter *e, struct ld_op *op,
                          const struct ld_node *node)
{
    size_t n = node->text_len < 8 ? node->text_len : 8;

    memcpy(&op->delimiter, e->f->text + node->text, n);
    memset(&op->mask, 0xff, n);
}

static void forget_position(struct emitter *e)
{
    e->modulus = 1;
    e->remainder = 0;
}

/* Make sure that a run is open, and widen it by N bytes.  Returns the offset
 * where these start. */
static uint32_t widen(struct emitter *e, const struct ld_node *node, uint32_t n)
{
    static const struct ld_node blank = {.save = -1, .ref = -1, .field = -1};
    uint32_t off;

    if (!e->run) {
        struct ld_op *op = add_op(e, LD_OP_FIXED, &blank);

        op->field = node->field >= 0 ? (uint16_t)node->field : nearest_field(e);
        op->at = e->gather_count;
        op->n = 0;
        e->run = op;
    }
    off = e->run->n;
    e->run->n += n;
    e->remainder = (e->remainder + n) % e->modulus;
    return off;
}

static struct ld_gather *add_gather(struct emitter *e,
                                    const struct ld_node *node, uint8_t kind,
                                    uint32_t off)
{
    struct ld_gather *g = &e->f->gathers[e->gather_count++];

    g->kind = kind;
    g->off = off;
    g->big = node->big;
    g->len = node->size;
    g->save = node->save;
    g->field = (uint16_t)node->field;
    e->run->gathers++;
    return g;
}

static void set_width(struct ld_gather *g, const struct ld_node *node,
                      uint32_t bits)
{
    g->mask = UINT64_MAX >> (64 - bits);
    g->sign = node->sign ? UINT64_C(1) << (bits - 1) : 0;
}

static uint8_t integer_kind(const struct ld_node *node, uint32_t bits)
{
    if (node->result != LD_FIELD_NUMBER)
        return LD_GATHER_RAW;
    if (bits > 53)
        return LD_GATHER_WIDE;
    return node->sign || node->save >= 0 ? LD_GATHER_SIGNED : LD_GATHER_INT;
}

static void emit_integer(struct emitter *e, const struct ld_node *node)
{
    uint32_t off = widen(e, node, node->size);
    uint32_t bits = node->size * 8u;
    struct ld_gather *g;

    if (node->hidden)
        return;
    g = add_gather(e, node, integer_kind(node, bits), off);
    g->shift = node->big ? (uint8_t)(64 - bits) : 0;
    set_width(g, node, bits);
}

static void emit_float(struct emitter *e, const struct ld_node *node)
{
    uint32_t off = widen(e, node, node->size);
    struct ld_gather *g;

    if (node->hidden)
        return;
    g = add_gather(e, node,
                   node->size == 4 ? LD_GATHER_FLOAT : LD_GATHER_DOUBLE, off);
    g->shift = node->size == 4 && node->big ? 32 : 0;
}

static void emit_bits(struct emitter *e, const struct ld_node *node)
{
    struct ld_gather *g;
    uint32_t shift = node->bit % 8;
    uint32_t off = widen(e, node, 0);

    if (node->bit == 0)
        e->bits_off = off;
    if (!node->hidden) {
        g = add_gather(e, node, integer_kind(node, node->bits),
                       e->bits_off + node->bit / 8);
        g->shift = (uint8_t)(node->big ? 64 - shift - node->bits : shift);
        g->len = (node->bits + shift + 7u) / 8;
        set_width(g, node, node->bits);
    }
    widen(e, node, node->group);
}

static void emit_bytes(struct emitter *e, const struct ld_node *node)
{
    uint32_t off;

    if (node->ref >= 0) {
        add_op(e, LD_OP_BYTES, node);
        forget_position(e);
        return;
    }
    off = widen(e, node, node->n);
    if (!node->hidden)
        add_gather(e, node, LD_GATHER_BYTES, off)->len = node->n;
}

static void emit_pad(struct emitter *e, const struct ld_node *node)
{
    if (node->ref < 0) {
        widen(e, node, node->n);
        return;
    }
    add_op(e, LD_OP_BYTES, node)->hidden = 1;
    forget_position(e);
}

static void emit_align(struct emitter *e, const struct ld_node *node)
{
    if (node->size <= e->modulus) {
        widen(e, node, (0u - e->remainder) & (node->size - 1u));
        return;
    }
    add_op(e, LD_OP_ALIGN, node);
    e->modulus = node->size;
    e->remainder = 0;
}

static void emit_variable(struct emitter *e, const struct ld_node *node)
{
    struct ld_op *op;
    uint8_t code = LD_OP_NUMBER;

    if (node->kind == LD_NODE_UNTIL)
        code = LD_OP_UNTIL;
    else if (node->kind == LD_NODE_PREFIXED)
        code = node->enc == LD_ENC_FIXED ? LD_OP_PREFIXED : LD_OP_COUNTED;
    op = add_op(e, code, node);
    set_delimiter(e, op, node);
    if (op->enc == LD_ENC_FIXED && node->kind == LD_NODE_PREFIXED)
        op->mask = UINT64_MAX >> (64 - node->size * 8);
    forget_position(e);
}

static void emit_literal(struct emitter *e, const struct ld_node *node)
{
    struct ld_op *op = add_op(e, LD_OP_LITERAL, node);

    op->n = node->text_len;
    set_delimiter(e, op, node);
    e->remainder = (e->remainder + node->text_len) % e->modulus;
}

static void open_group(struct emitter *e, const struct ld_node *node)
{
    e->open[e->depth++] = e->op_count;
    add_op(e, node->kind == LD_NODE_IF ? LD_OP_IF : LD_OP_REPEAT, node);
    if (node->kind == LD_NODE_REPEAT)
        forget_position(e);
}

static void close_group(struct emitter *e, const struct ld_node *node)
{
    struct ld_op *open = &e->f->ops[e->open[--e->depth]];

    if (open->code == LD_OP_REPEAT)
        add_op(e, LD_OP_NEXT, node);
    e->run = NULL;
    open->jump = e->op_count;
    forget_position(e);
}

/* Tell each gather how many like it follow in its run. */
static void count_alike(const struct emitter *e)
{
    uint32_t i;

    for (i = 0; i < e->op_count; i++) {
        const struct ld_op *op = &e->f->ops[i];
        struct ld_gather *g = e->f->gathers + op->at;
        uint32_t k = op->code == LD_OP_FIXED ? op->gathers : 0;
        uint16_t alike = 0;

        while (k-- > 0) {
            bool same = alike > 0 && g[k].kind == g[k + 1].kind;

            alike = same ? alike + 1 : 1;
            g[k].alike = alike;
        }
    }
}

static void emit_node(struct emitter *e, const struct ld_node *node)
{
    switch (node->kind) {
    case LD_NODE_INT: emit_integer(e, node); break;
    case LD_NODE_FLOAT: emit_float(e, node); break;
    case LD_NODE_BITS: emit_bits(e, node); break;
    case LD_NODE_BYTES: emit_bytes(e, node); break;
    case LD_NODE_LITERAL: emit_literal(e, node); break;
    case LD_NODE_PAD: emit_pad(e, node); break;
    case LD_NODE_ALIGN: emit_align(e, node); break;
    case LD_NODE_REPEAT:
    case LD_NODE_IF: open_group(e, node); break;
    case LD_NODE_END: close_group(e, node); break;
    default: emit_variable(e, node); break;
    }
    if (node->field >= 0)
        e->field = (uint32_t)node->field + 1;
}

bool ld_format_emit(struct ld_format *f, struct ld_format_error *err)
{
    struct emitter e = {.f = f, .err = err, .modulus = 16};
    uint32_t count = f->node_count + 1;
    uint32_t i;

    f->ops = calloc(count, sizeof(*f->ops));
    f->gathers = calloc(count, sizeof(*f->gathers));
    if (!f->ops || !f->gathers)
        return fail(err, 1, "out of memory");
    for (i = 0; i < f->node_count; i++) {
        emit_node(&e, &f->nodes[i]);
        if (e.run && e.run->n > LD_FORMAT_BIG)
            return fail(err, 1, "every frame would exceed 2^31 bytes");
    }
    e.op_count++;
    count_alike(&e);
    if (e.op_count == 2 && f->ops->code == LD_OP_FIXED && f->ops->gathers > 0 &&
        f->ops->gathers == f->gathers->alike &&
        f->gathers->kind == LD_GATHER_INT)
        f->plain = f->ops->n;
    if (f->plain && !ld_format_lanes(f))
        return fail(err, 1, "out of memory");
    return ld_format_measure(f, e.op_count, err);
}

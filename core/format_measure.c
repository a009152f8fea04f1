/* format_measure.c -- the sizes of a format that are known before any byte:
 * what a frame has at the least, behind each op, and what packing takes at the
 * most.
 */
#include <stdio.h>
#include <stdlib.h>

#include "format_ops.h"

static bool fail(struct ld_format_error *err, uint32_t column, const char *why)
{
    err->column = column;
    snprintf(err->message, sizeof(err->message), "%s", why);
    return false;
}

/* What lies from an op to the end of the frame, at the least and the most. */
struct tail {
    uint64_t size;   /* bytes, at least */
    uint64_t values; /* at least */
    uint32_t spread; /* values, counting each group once and as present */
};

static uint64_t least_size(const struct ld_op *op)
{
    switch (op->code) {
    case LD_OP_FIXED:
    case LD_OP_LITERAL: return op->n;
    case LD_OP_PREFIXED: return op->size;
    case LD_OP_UNTIL: return op->text_len;
    case LD_OP_COUNTED:
    case LD_OP_NUMBER:
        return op->enc == LD_ENC_DECIMAL ? 1u + op->text_len : 1u;
    default: return 0;
    }
}

static uint32_t value_count(const struct ld_op *op)
{
    switch (op->code) {
    case LD_OP_FIXED: return op->gathers;
    case LD_OP_PREFIXED:
    case LD_OP_COUNTED:
    case LD_OP_NUMBER:
    case LD_OP_BYTES:
    case LD_OP_UNTIL: return !op->hidden;
    default: return 0;
    }
}

/* The tail at OP, given the one behind it (NEXT) and, for a group, the one
 * behind that (AFTER). */
static struct tail measure_op(struct ld_op *op, struct tail next,
                              struct tail after)
{
    struct tail t = next;
    uint64_t times = op->ref < 0 ? op->n : 0;

    switch (op->code) {
    case LD_OP_IF:
        t = after;
        t.values++;
        t.spread = next.spread + 1;
        break;
    case LD_OP_REPEAT:
        op->body = (uint32_t)(next.size - after.size);
        op->body_values = (uint32_t)(next.values - after.values);
        op->reserve = next.spread;
        t.size = after.size + times * op->body;
        t.values = after.values + times * op->body_values + 1;
        t.spread = next.spread + 1;
        break;
    default:
        t.size += least_size(op);
        t.values += value_count(op);
        t.spread += value_count(op);
        break;
    }
    op->rest = (uint32_t)(op->jump ? after.size : next.size);
    return t;
}

/* Fill what ops know of the frame behind them, from the last to the first. */
static bool measure_ops(struct ld_format *f, uint32_t count,
                        struct ld_format_error *err)
{
    struct ld_op *ops = f->ops;
    struct tail *tails = calloc(count, sizeof(*tails));
    uint32_t i = count - 1;
    bool ok = true;

    if (!tails)
        return fail(err, 1, "out of memory");
    while (ok && i-- > 0) {
        struct ld_op *op = &ops[i];

        tails[i] = measure_op(op, tails[i + 1], tails[op->jump]);
        if (tails[i].size > LD_FORMAT_BIG)
            ok = fail(err, 1, "every frame would exceed 2^31 bytes");
        else if (tails[i].values > LD_FORMAT_VALUES)
            ok = fail(err, 1, "every frame would have more than 4096 values");
        else if (op->code == LD_OP_REPEAT && !op->body && !op->body_values)
            ok = fail(err, f->fields[op->field].column, "a repeat of nothing");
    }
    f->min_size = (uint32_t)tails[0].size;
    free(tails);
    return ok;
}

/* Bytes that packing one node can take, besides those of its argument. */
static uint64_t pack_size(const struct ld_node *node)
{
    switch (node->kind) {
    case LD_NODE_INT:
    case LD_NODE_FLOAT:
    case LD_NODE_ALIGN: return node->size;
    case LD_NODE_BITS: return node->group;
    case LD_NODE_VARINT: return 10;
    case LD_NODE_DECIMAL: return 20u + node->text_len;
    case LD_NODE_BYTES:
    case LD_NODE_PAD: return node->n;
    case LD_NODE_PREFIXED: return 20u + node->text_len;
    case LD_NODE_UNTIL:
    case LD_NODE_LITERAL: return node->text_len;
    default: return 0;
    }
}

/* Can ld_pack_quick() take this node? */
static bool is_quick(const struct ld_node *node)
{
    switch (node->kind) {
    case LD_NODE_LITERAL: return true;
    case LD_NODE_INT: return !node->hidden && node->save < 0;
    case LD_NODE_PREFIXED:
        return !node->hidden &&
               (node->enc == LD_ENC_FIXED || node->enc == LD_ENC_DECIMAL);
    default: return false;
    }
}

static bool measure_pack(struct ld_format *f, struct ld_format_error *err)
{
    uint64_t size = 0;
    uint64_t body = 0;
    uint32_t depth = 0;
    uint32_t i;

    f->pack_quick = true;
    for (i = 0; i < f->node_count; i++) {
        const struct ld_node *node = &f->nodes[i];

        f->pack_quick = f->pack_quick && is_quick(node);
        depth += node->kind == LD_NODE_REPEAT || node->kind == LD_NODE_IF;
        depth -= node->kind == LD_NODE_END;
        size += pack_size(node);
        body += depth ? pack_size(node) : 0;
        if (node->ref >= 0 && (node->kind == LD_NODE_PAD || node->hidden))
            f->pack_measure = true;
    }
    if (size > LD_FORMAT_BIG)
        return fail(err, 1, "every frame would exceed 2^31 bytes");
    f->pack_size = (uint32_t)size;
    f->pack_body = (uint32_t)body;
    return true;
}

bool ld_format_measure(struct ld_format *f, uint32_t op_count,
                       struct ld_format_error *err)
{
    return measure_ops(f, op_count, err) && measure_pack(f, err);
}

/* pack.c -- runs the nodes of a format over arguments, and bounds the result.
 */
#include "pack_cursor.h"

/* Zeros to the next multiple, counted from the frame's start. */
static void align(struct ld_packer *pk, uint32_t multiple)
{
    uint64_t at = pk->size + pk->shared;

    ld_pack_zeros(pk, (0 - at) & (multiple - 1));
}

static enum ld_status pad(struct ld_packer *pk, const struct ld_node *node)
{
    uint64_t len = node->n;

    if (node->ref >= 0 && !ld_pack_length(pk, node, &len))
        return LD_RANGE;
    if (len > node->max)
        return LD_LIMIT;
    ld_pack_zeros(pk, len);
    return LD_OK;
}

static enum ld_status open_repeat(struct ld_packer *pk, uint32_t *pc)
{
    const struct ld_node *node = &pk->f->nodes[*pc];
    const struct ld_arg *arg = &pk->args[pk->arg];
    int64_t n = node->ref < 0 ? (int64_t)node->n : pk->regs[node->ref];

    if (pk->arg == pk->count || arg->kind != LD_ARG_COUNT)
        return LD_MISMATCH;
    if (n < 0 || arg->n != (double)n)
        return LD_RANGE;
    if ((uint64_t)n > node->max)
        return LD_LIMIT;
    pk->arg++;
    if (n == 0) {
        *pc = node->match;
        return LD_OK;
    }
    pk->groups[pk->depth++].left = (uint32_t)n;
    return LD_OK;
}

static bool is_present(const struct ld_packer *pk, const struct ld_node *node)
{
    int64_t x = pk->regs[node->ref];

    switch (node->operator) {
    case LD_TEST_EQUAL: return x == node->operand;
    case LD_TEST_AND: return (x & node->operand) != 0;
    default: return x != 0;
    }
}

static enum ld_status open_if(struct ld_packer *pk, uint32_t *pc)
{
    const struct ld_node *node = &pk->f->nodes[*pc];
    const struct ld_arg *arg = &pk->args[pk->arg];
    uint32_t len;

    if (pk->arg == pk->count ||
        (arg->kind != LD_ARG_GROUP && arg->kind != LD_ARG_NIL))
        return LD_MISMATCH;
    len = arg->kind == LD_ARG_GROUP ? arg->len : 0;
    if (len > pk->count - pk->arg - 1)
        return LD_MISMATCH;
    pk->arg++;
    if (is_present(pk, node)) {
        pk->groups[pk->depth++].end = pk->arg + len;
    } else {
        pk->arg += len;
        *pc = node->match;
    }
    return LD_OK;
}

static enum ld_status close_group(struct ld_packer *pk, uint32_t *pc)
{
    uint32_t start = pk->f->nodes[*pc].match;
    struct ld_pack_group *group = &pk->groups[pk->depth - 1];

    if (pk->f->nodes[start].kind == LD_NODE_IF) {
        if (pk->arg != group->end)
            return LD_MISMATCH;
    } else if (--group->left > 0) {
        *pc = start;
        return LD_OK;
    }
    pk->depth--;
    return LD_OK;
}

/* One node; *PC moves when a group begins or ends. */
static enum ld_status step(struct ld_packer *pk, uint32_t *pc)
{
    const struct ld_node *node = &pk->f->nodes[*pc];

    switch (node->kind) {
    case LD_NODE_LITERAL:
        ld_pack_put(pk, pk->f->text + node->text, node->text_len);
        return LD_OK;
    case LD_NODE_ALIGN: align(pk, node->size); return LD_OK;
    case LD_NODE_PAD: return pad(pk, node);
    case LD_NODE_REPEAT: return open_repeat(pk, pc);
    case LD_NODE_IF: return open_if(pk, pc);
    case LD_NODE_END: return close_group(pk, pc);
    case LD_NODE_BYTES:
    case LD_NODE_PREFIXED:
    case LD_NODE_UNTIL: return ld_pack_bytes(pk, node);
    default: return ld_pack_number(pk, node);
    }
}

enum ld_status ld_pack(const struct ld_format *f, const struct ld_arg *args,
                       uint32_t count, uint8_t *dst, struct ld_packed *out)
{
    static const struct ld_arg none;
    struct ld_packer pk;
    enum ld_status st = LD_OK;
    uint32_t pc;

    if (f->pack_quick && dst && ld_pack_quick(f, args, count, dst, out))
        return LD_OK;
    pk.f = f;
    pk.args = count > 0 ? args : &none;
    pk.count = count;
    pk.arg = 0;
    pk.dst = dst;
    pk.size = pk.shared = pk.bits = 0;
    pk.out = out;
    pk.depth = 0;
    out->shared_count = 0;
    for (pc = 0; !st && pc < f->node_count; pc++)
        st = step(&pk, &pc);
    if (!st && pk.arg < count)
        st = LD_MISMATCH;
    out->size = pk.size;
    out->arg = pk.arg;
    return st;
}

size_t ld_pack_bound(const struct ld_format *f, const struct ld_arg *args,
                     uint32_t count)
{
    uint64_t size = f->pack_size;
    struct ld_packed out;
    uint32_t shared = 0;
    uint32_t i;

    if (f->pack_measure) {
        ld_pack(f, args, count, NULL, &out);
        return out.size + sizeof(uint64_t);
    }
    for (i = 0; i < count; i++) {
        if (args[i].kind == LD_ARG_BYTES ||
            (args[i].kind == LD_ARG_SHARED && shared++ >= LD_PACK_SHARED))
            size += args[i].len;
        else if (args[i].kind == LD_ARG_COUNT && args[i].n > 0 &&
                 args[i].n <= LD_FORMAT_BIG)
            size += (uint64_t)args[i].n * f->pack_body;
    }
    return size + sizeof(uint64_t);
}

/* pack_bytes.c -- encodes strings and slices, and finds the lengths that a
 * caller left for them to tell.
 */
#include "pack_cursor.h"

bool ld_pack_length(const struct ld_packer *pk, const struct ld_node *node,
                    uint64_t *len)
{
    int64_t n = pk->regs[node->ref];

    if (n < 0 || n > LD_FORMAT_BIG || n + node->adjust < 0)
        return false;
    *len = (uint64_t)(n + node->adjust);
    return true;
}

static bool is_bytes(const struct ld_arg *arg)
{
    return arg->kind == LD_ARG_BYTES || arg->kind == LD_ARG_SHARED;
}

/* Copies the argument, or notes where it belongs.  More than LD_PACK_SHARED
 * are copied as well. */
static void put_arg(struct ld_packer *pk, const struct ld_arg *arg)
{
    uint32_t n = pk->out->shared_count;

    if (arg->kind == LD_ARG_BYTES || n == LD_PACK_SHARED) {
        ld_pack_put(pk, arg->p, arg->len);
        return;
    }
    pk->out->shared[n].at = pk->size;
    pk->out->shared[n].arg = (uint32_t)(arg - pk->args);
    pk->out->shared_count++;
    pk->shared += arg->len;
}

/* Byte I of ARG with the delimiter of NODE behind it. */
static uint8_t byte_at(const struct ld_packer *pk, const struct ld_node *node,
                       const struct ld_arg *arg, uint64_t i)
{
    if (i < arg->len)
        return arg->p[i];
    return (uint8_t)pk->f->text[node->text + i - arg->len];
}

/* Whether reading this back would end before the argument does.  A delimiter
 * that begins in the argument and ends behind it counts. */
static bool ends_early(const struct ld_packer *pk, const struct ld_node *node,
                       const struct ld_arg *arg)
{
    const char *text = pk->f->text + node->text;
    const uint8_t *s = arg->p;
    const uint8_t *end = arg->len > 0 ? arg->p + arg->len : arg->p;
    uint32_t k;

    if (node->line && arg->len > 0 && end[-1] == '\r')
        return true;
    while (s < end) {
        s = memchr(s, (uint8_t)text[0], (size_t)(end - s));
        if (!s)
            return false;
        for (k = 1; k < node->text_len; k++)
            if (byte_at(pk, node, arg, (uint64_t)(s - arg->p) + k) !=
                (uint8_t)text[k])
                break;
        if (k == node->text_len)
            return true;
        s++;
    }
    return false;
}

static enum ld_status put_sized(struct ld_packer *pk,
                                const struct ld_node *node,
                                const struct ld_arg *arg)
{
    uint64_t len = node->n;

    if (node->ref >= 0) {
        if (!ld_pack_length(pk, node, &len) || len != arg->len)
            return LD_RANGE;
    } else if (arg->len > len) {
        return LD_MISMATCH;
    }
    put_arg(pk, arg);
    ld_pack_zeros(pk, len - arg->len);
    return LD_OK;
}

/* What a hidden field says: zeros where a size is set, else no bytes. */
static enum ld_status put_hidden(struct ld_packer *pk,
                                 const struct ld_node *node)
{
    uint64_t len = node->n;

    switch (node->kind) {
    case LD_NODE_PREFIXED: return ld_pack_prefix(pk, node, 0);
    case LD_NODE_UNTIL:
        ld_pack_put(pk, pk->f->text + node->text, node->text_len);
        return LD_OK;
    default:
        if (node->ref >= 0 && !ld_pack_length(pk, node, &len))
            return LD_RANGE;
        if (len > node->max)
            return LD_LIMIT;
        ld_pack_zeros(pk, len);
        return LD_OK;
    }
}

enum ld_status ld_pack_bytes(struct ld_packer *pk, const struct ld_node *node)
{
    const struct ld_arg *arg = &pk->args[pk->arg];
    enum ld_status st = LD_OK;

    if (node->hidden)
        return put_hidden(pk, node);
    if (pk->arg == pk->count || !is_bytes(arg))
        return LD_MISMATCH;
    if (arg->len > node->max)
        return LD_LIMIT;
    if (node->kind == LD_NODE_BYTES) {
        st = put_sized(pk, node, arg);
    } else if (node->kind == LD_NODE_PREFIXED) {
        st = ld_pack_prefix(pk, node, arg->len);
        if (!st)
            put_arg(pk, arg);
    } else if (ends_early(pk, node, arg)) {
        st = LD_MISMATCH;
    } else {
        put_arg(pk, arg);
        ld_pack_put(pk, pk->f->text + node->text, node->text_len);
    }
    pk->arg += !st;
    return st;
}

/* The node behind NODE and its group, if it is one; *ARG moves past what they
 * take.  NULL when arguments are missing. */
static const struct ld_node *skip(const struct ld_packer *pk,
                                  const struct ld_node *node, uint64_t *arg)
{
    const struct ld_node *nodes = pk->f->nodes;
    const struct ld_arg *given = pk->args + *arg;
    double left;

    if (node->field < 0 || node->hidden)
        return node + 1;
    if (*arg >= pk->count)
        return NULL;
    (*arg)++;
    if (node->kind == LD_NODE_IF) {
        *arg += given->kind == LD_ARG_GROUP ? given->len : 0;
    } else if (node->kind == LD_NODE_REPEAT) {
        if (given->kind != LD_ARG_COUNT)
            return NULL;
        for (left = given->n; left >= 1; left--) {
            const struct ld_node *n = node + 1;
            uint64_t before = *arg;

            while (n && n < nodes + node->match)
                n = skip(pk, n, arg);
            if (!n)
                return NULL;
            if (*arg == before)
                break;
        }
    } else {
        return node + 1;
    }
    return nodes + node->match + 1;
}

bool ld_pack_infer(const struct ld_packer *pk, const struct ld_node *node,
                   int64_t *value)
{
    const struct ld_node *end = pk->f->nodes + pk->f->node_count;
    const struct ld_node *n = node + 1;
    uint64_t at = (uint64_t)pk->arg + 1;

    if (node->save < 0)
        return false;
    while (n && n < end && n->kind != LD_NODE_END && at < pk->count) {
        const struct ld_arg *arg = &pk->args[at];

        if (n->ref == node->save && n->kind == LD_NODE_BYTES && !n->hidden) {
            *value = (int64_t)arg->len - n->adjust;
            return is_bytes(arg);
        }
        if (n->ref == node->save && n->kind == LD_NODE_REPEAT) {
            *value = arg->kind == LD_ARG_COUNT ? (int64_t)arg->n : -1;
            return *value >= 0;
        }
        n = skip(pk, n, &at);
    }
    return false;
}

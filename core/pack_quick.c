/* pack_quick.c -- the way that most frames take: integers of whole bytes,
 * literals, and bytes behind their length.
 *
 * Whatever is unusual or wrong is left to the nodes' own functions, which
 * start over and find out what it is.
 */
#include "pack_cursor.h"

static uint8_t *store(uint8_t *dst, uint64_t x, bool big, uint32_t size)
{
    if (big)
        x <<= 64 - 8 * size;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    big = !big;
#endif
    if (big)
        x = __builtin_bswap64(x);
    memcpy(dst, &x, sizeof(x)); /* the bound leaves room for 8 bytes */
    return dst + size;
}

static uint8_t *put_text(const struct ld_format *f, const struct ld_node *node,
                         uint8_t *dst)
{
    const char *text = f->text + node->text;

    if (node->text_len == 2) /* CR LF, mostly */
        memcpy(dst, text, 2);
    else
        memcpy(dst, text, node->text_len);
    return dst + node->text_len;
}

static uint8_t *put_digits(uint8_t *dst, uint32_t x)
{
    uint8_t digits[10];
    uint32_t n = 0;

    do
        digits[n++] = (uint8_t)('0' + x % 10);
    while ((x /= 10) > 0);
    while (n > 0)
        *dst++ = digits[--n];
    return dst;
}

/* NULL when the number does not fit. */
static uint8_t *put_int(const struct ld_node *node, const struct ld_arg *arg,
                        uint8_t *dst)
{
    uint32_t spare = 64 - 8 * node->size;
    int64_t x;

    if (arg->kind != LD_ARG_NUMBER || !(arg->n >= -(double)LD_FORMAT_EXACT) ||
        !(arg->n <= (double)LD_FORMAT_EXACT))
        return NULL;
    x = (int64_t)arg->n;
    if ((double)x != arg->n)
        return NULL;
    if (node->sign ? (int64_t)((uint64_t)x << spare) >> spare != x
                   : x < 0 || (spare && (uint64_t)x >> (64 - spare)))
        return NULL;
    return store(dst, (uint64_t)x, node->big, node->size);
}

/* NULL when the bytes are shared, or too long. */
static uint8_t *put_prefixed(const struct ld_format *f,
                             const struct ld_node *node,
                             const struct ld_arg *arg, uint8_t *dst)
{
    if (arg->kind != LD_ARG_BYTES || arg->len > node->max)
        return NULL;
    if (node->enc == LD_ENC_DECIMAL) {
        dst = put_text(f, node, put_digits(dst, arg->len));
    } else {
        if (node->size < 4 && arg->len >> (8 * node->size))
            return NULL;
        dst = store(dst, arg->len, node->big, node->size);
    }
    if (arg->len > 0)
        memcpy(dst, arg->p, arg->len);
    return dst + arg->len;
}

bool ld_pack_quick(const struct ld_format *f, const struct ld_arg *args,
                   uint32_t count, uint8_t *dst, struct ld_packed *out)
{
    const struct ld_node *node = f->nodes, *last = node + f->node_count;
    const struct ld_arg *arg = args, *end = count ? args + count : args;
    uint8_t *to = dst;

    for (; node < last; node++) {
        if (node->kind == LD_NODE_LITERAL) {
            to = put_text(f, node, to);
            continue;
        }
        if (arg == end)
            return false;
        to = node->kind == LD_NODE_INT ? put_int(node, arg, to)
                                       : put_prefixed(f, node, arg, to);
        if (!to)
            return false;
        arg++;
    }
    out->size = (size_t)(to - dst);
    out->shared_count = 0;
    return arg == end;
}

/* pack_number.c -- encodes integers, floats, bit fields, varints, decimals. */
#include "pack_cursor.h"

static bool from_double(double n, struct ld_integer *x)
{
    if (!(n >= -(double)LD_FORMAT_EXACT && n <= (double)LD_FORMAT_EXACT) ||
        n != (double)(int64_t)n)
        return false;
    x->bits = (uint64_t)(int64_t)n;
    x->minus = n < 0;
    return true;
}

static enum ld_status from_arg(const struct ld_arg *arg, struct ld_integer *x)
{
    switch (arg->kind) {
    case LD_ARG_NUMBER: return from_double(arg->n, x) ? LD_OK : LD_RANGE;
    case LD_ARG_INT64:
        x->bits = arg->u;
        x->minus = arg->i < 0;
        return LD_OK;
    case LD_ARG_UINT64:
        x->bits = arg->u;
        x->minus = false;
        return LD_OK;
    default: return LD_MISMATCH;
    }
}

/* The integer that NODE is to say; 0 when it is hidden. */
static enum ld_status take_integer(struct ld_packer *pk,
                                   const struct ld_node *node,
                                   struct ld_integer *x)
{
    const struct ld_arg *arg = &pk->args[pk->arg];
    enum ld_status st = LD_OK;
    int64_t value = 0;

    x->bits = 0;
    x->minus = false;
    if (node->hidden)
        return LD_OK;
    if (pk->arg == pk->count)
        return LD_MISMATCH;
    if (arg->kind == LD_ARG_NIL) {
        if (!ld_pack_infer(pk, node, &value))
            return LD_MISMATCH;
        x->bits = (uint64_t)value;
        x->minus = value < 0;
    } else {
        st = from_arg(arg, x);
    }
    if (!st && node->save >= 0)
        pk->regs[node->save] = (int64_t)x->bits;
    return st;
}

static bool fits(const struct ld_integer *x, uint32_t width, bool sign)
{
    if (!sign)
        return !x->minus && (width == 64 || x->bits >> width == 0);
    if (x->minus)
        return (int64_t)x->bits >= INT64_MIN >> (64 - width);
    return x->bits <= (uint64_t)INT64_MAX >> (64 - width);
}

static enum ld_status pack_int(struct ld_packer *pk, const struct ld_node *node)
{
    struct ld_integer x;
    enum ld_status st = take_integer(pk, node, &x);

    if (st)
        return st;
    if (!fits(&x, node->size * 8u, node->sign))
        return LD_RANGE;
    ld_pack_store(pk, x.bits, node->big, node->size);
    return LD_OK;
}

static enum ld_status pack_bits(struct ld_packer *pk,
                                const struct ld_node *node)
{
    uint64_t mask = UINT64_MAX >> (64 - node->bits);
    struct ld_integer x;
    enum ld_status st = take_integer(pk, node, &x);

    if (st)
        return st;
    if (!fits(&x, node->bits, node->sign))
        return LD_RANGE;
    if (node->bit == 0)
        pk->bits = 0;
    if (node->big)
        pk->bits = pk->bits << node->bits | (x.bits & mask);
    else
        pk->bits |= (x.bits & mask) << node->bit;
    if (node->group)
        ld_pack_store(pk, pk->bits, node->big, node->group);
    return LD_OK;
}

static enum ld_status pack_float(struct ld_packer *pk,
                                 const struct ld_node *node)
{
    const struct ld_arg *arg = &pk->args[pk->arg];
    double d = 0;
    uint64_t x = 0;
    uint32_t half;
    float f;

    if (!node->hidden) {
        if (pk->arg == pk->count || arg->kind != LD_ARG_NUMBER)
            return LD_MISMATCH;
        d = arg->n;
    }
    if (node->size == 8) {
        memcpy(&x, &d, sizeof(x));
    } else {
        f = (float)d;
        memcpy(&half, &f, sizeof(half));
        x = half;
    }
    ld_pack_store(pk, x, node->big, node->size);
    return LD_OK;
}

static void put_leb128(struct ld_packer *pk, uint64_t x)
{
    uint8_t bytes[10];
    uint32_t n = 0;

    while (x > 127) {
        bytes[n++] = (uint8_t)(x | 128);
        x >>= 7;
    }
    bytes[n++] = (uint8_t)x;
    ld_pack_put(pk, bytes, n);
}

static void put_quic(struct ld_packer *pk, uint64_t x)
{
    uint32_t log = x < 1 << 6 ? 0 : x < 1 << 14 ? 1 : x < 1 << 30 ? 2 : 3;
    uint32_t size = 1u << log;

    ld_pack_store(pk, x | (uint64_t)log << (8 * size - 2), true, size);
}

/* Bits that a varint's value may have. */
static uint32_t varint_width(uint8_t enc)
{
    switch (enc) {
    case LD_ENC_MQTT: return 28;
    case LD_ENC_QUIC: return 62;
    default: return 64;
    }
}

static enum ld_status pack_varint(struct ld_packer *pk,
                                  const struct ld_node *node)
{
    bool sign = node->enc == LD_ENC_ZIGZAG ||
                (node->enc == LD_ENC_LEB128 && node->result == LD_FIELD_INT64);
    struct ld_integer x;
    enum ld_status st = take_integer(pk, node, &x);

    if (st)
        return st;
    if (!fits(&x, varint_width(node->enc), sign))
        return LD_RANGE;
    if (node->enc == LD_ENC_ZIGZAG)
        x.bits = x.bits << 1 ^ (x.minus ? UINT64_MAX : 0);
    if (node->enc == LD_ENC_QUIC)
        put_quic(pk, x.bits);
    else
        put_leb128(pk, x.bits);
    return LD_OK;
}

/* Sign, digits and delimiter.  LD_LIMIT when there are too many digits. */
static enum ld_status put_decimal(struct ld_packer *pk,
                                  const struct ld_node *node,
                                  const struct ld_integer *x, uint32_t max)
{
    char text[LD_FORMAT_DIGITS + 1];
    char *end = text + sizeof(text), *at = end;
    uint64_t size = x->minus ? 0 - x->bits : x->bits;

    do {
        *--at = (char)('0' + size % 10);
        size /= 10;
    } while (size > 0);
    if ((uint32_t)(end - at) > max)
        return LD_LIMIT;
    if (x->minus)
        *--at = '-';
    ld_pack_put(pk, at, (size_t)(end - at));
    ld_pack_put(pk, pk->f->text + node->text, node->text_len);
    return LD_OK;
}

static enum ld_status pack_decimal(struct ld_packer *pk,
                                   const struct ld_node *node)
{
    struct ld_integer x;
    enum ld_status st = take_integer(pk, node, &x);
    uint64_t size = x.minus ? 0 - x.bits : x.bits;

    if (st)
        return st;
    if (size > LD_FORMAT_EXACT)
        return LD_RANGE;
    return put_decimal(pk, node, &x, node->max);
}

enum ld_status ld_pack_prefix(struct ld_packer *pk, const struct ld_node *node,
                              uint64_t len)
{
    struct ld_integer x = {len, false};
    uint32_t width = varint_width(node->enc);

    if (node->enc == LD_ENC_FIXED)
        width = node->size * 8u;
    if (!fits(&x, width, false))
        return LD_LIMIT;
    switch (node->enc) {
    case LD_ENC_FIXED: ld_pack_store(pk, len, node->big, node->size); break;
    case LD_ENC_QUIC: put_quic(pk, len); break;
    case LD_ENC_DECIMAL: return put_decimal(pk, node, &x, LD_FORMAT_DIGITS);
    default: put_leb128(pk, len); break;
    }
    return LD_OK;
}

enum ld_status ld_pack_number(struct ld_packer *pk, const struct ld_node *node)
{
    enum ld_status st;

    switch (node->kind) {
    case LD_NODE_INT: st = pack_int(pk, node); break;
    case LD_NODE_BITS: st = pack_bits(pk, node); break;
    case LD_NODE_FLOAT: st = pack_float(pk, node); break;
    case LD_NODE_VARINT: st = pack_varint(pk, node); break;
    default: st = pack_decimal(pk, node); break;
    }
    pk->arg += !st && !node->hidden;
    return st;
}

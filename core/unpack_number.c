/* unpack_number.c -- numbers of variable size: varints and decimals. */
#include "unpack_cursor.h"

struct number {
    uint64_t value;
    uint64_t size; /* bytes it took */
};

/* LEB128 and MQTT: seven bits a byte, lowest first, at most MAX bytes. */
static enum ld_status read_base128(struct ld_cursor *r, const struct ld_op *op,
                                   uint32_t max, struct number *out)
{
    const uint8_t *at = r->frame + r->pos;
    uint64_t value = 0;
    uint32_t i;

    for (i = 0;; i++) {
        if (!ld_cursor_fits(r, op, r->pos + i + 1))
            return ld_cursor_too_long(r, op);
        if (r->pos + i == r->avail)
            return ld_cursor_suspend(r, r->avail + 1);
        if (i == max - 1 && at[i] > (max == 10 ? 1 : 127))
            return ld_cursor_fail(r, LD_VARINT, op->field, r->pos + i);
        value |= (uint64_t)(at[i] & 127) << (7 * i);
        if (at[i] < 128)
            break;
    }
    out->value = value;
    out->size = i + 1;
    return LD_OK;
}

/* QUIC: the top two bits say how many bytes there are. */
static enum ld_status read_quic(struct ld_cursor *r, const struct ld_op *op,
                                struct number *out)
{
    const uint8_t *at = r->frame + r->pos;
    uint32_t size = 1;

    if (!ld_cursor_fits(r, op, r->pos + 1))
        return ld_cursor_too_long(r, op);
    if (r->pos == r->avail)
        return ld_cursor_suspend(r, r->pos + 1);
    size <<= at[0] >> 6;
    if (!ld_cursor_fits(r, op, r->pos + size))
        return ld_cursor_too_long(r, op);
    if (r->pos + size > r->avail)
        return ld_cursor_suspend(r, r->pos + size);
    out->value = ld_load(at, true) << 2 >> (66 - 8 * size);
    out->size = size;
    return LD_OK;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* What N bytes of sign and digits say; beyond 2^53 only that it is more. */
static uint64_t parse_decimal(const uint8_t *at, uint64_t n)
{
    bool minus = at[0] == '-';
    uint64_t value = 0;
    uint64_t i;

    for (i = minus; i < n; i++)
        if (value <= LD_FORMAT_EXACT)
            value = value * 10 + (at[i] - (unsigned)'0');
    return minus ? 0 - value : value;
}

/* The delimiter of a decimal whose sign and digits are N bytes. */
static enum ld_status end_decimal(struct ld_cursor *r, const struct ld_op *op,
                                  uint64_t n, struct number *out)
{
    const char *text = r->f->text + op->at;
    uint64_t at = r->pos + n;
    uint32_t i;

    for (i = 0; i < op->text_len; i++) {
        if (at + i == r->avail)
            return ld_cursor_suspend(r, r->avail + 1);
        if (r->frame[at + i] != (uint8_t)text[i])
            return ld_cursor_fail(r, LD_MISMATCH, op->field, at + i);
    }
    out->value = parse_decimal(r->frame + r->pos, n);
    out->size = n + op->text_len;
    return LD_OK;
}

/* Every byte is judged as soon as it is there; p->scan counts those judged. */
static enum ld_status read_decimal(struct ld_cursor *r, const struct ld_op *op,
                                   struct number *out)
{
    const uint8_t *at = r->frame + r->pos;
    uint64_t n = r->p->scan;

    for (;; n++) {
        uint64_t digits = n - (n > 0 && at[0] == '-');

        r->p->scan = (uint32_t)n;
        if (!ld_cursor_fits(r, op, r->pos + n + (digits == 0) + op->text_len))
            return ld_cursor_too_long(r, op);
        if (r->pos + n == r->avail)
            return ld_cursor_suspend(r, r->avail + 1);
        if (is_digit(at[n])) {
            if (digits == op->max)
                return ld_cursor_too_long(r, op);
        } else if (n > 0 || at[n] != '-') {
            if (digits == 0)
                return ld_cursor_fail(r, LD_MISMATCH, op->field, r->pos + n);
            return end_decimal(r, op, n, out);
        }
    }
}

static enum ld_status read_number(struct ld_cursor *r, const struct ld_op *op,
                                  struct number *out)
{
    switch (op->enc) {
    case LD_ENC_QUIC: return read_quic(r, op, out);
    case LD_ENC_DECIMAL: return read_decimal(r, op, out);
    case LD_ENC_MQTT: return read_base128(r, op, 4, out);
    default: return read_base128(r, op, 10, out);
    }
}

enum ld_status ld_unpack_number(struct ld_cursor *r, const struct ld_op *op)
{
    bool sign = op->enc == LD_ENC_ZIGZAG || op->enc == LD_ENC_DECIMAL;
    union ld_value *value = &r->values[r->count];
    struct number num;
    enum ld_status st = read_number(r, op, &num);

    if (st)
        return st;
    if (op->enc == LD_ENC_ZIGZAG)
        num.value = num.value >> 1 ^ (0 - (num.value & 1));
    if (op->save >= 0)
        r->p->regs[op->save] = (int64_t)num.value;
    if (!op->hidden) {
        r->count++;
        if (op->result != LD_FIELD_NUMBER)
            value->u = num.value;
        else if (!ld_is_exact(num.value, sign))
            return ld_cursor_fail(r, LD_RANGE, op->field, r->pos);
        else
            value->n = (double)(int64_t)num.value;
    }
    r->pos += num.size;
    r->p->scan = 0;
    return LD_OK;
}

enum ld_status ld_unpack_counted(struct ld_cursor *r, const struct ld_op *op)
{
    struct number num;
    enum ld_status st = read_number(r, op, &num);

    if (st)
        return st;
    if (op->enc == LD_ENC_DECIMAL && !ld_is_exact(num.value, false))
        return ld_cursor_fail(r, LD_RANGE, op->field, r->pos);
    st = ld_cursor_take_bytes(r, op, r->pos + num.size, num.value);
    if (!st)
        r->p->scan = 0;
    return st;
}

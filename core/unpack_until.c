/* unpack_until.c -- bytes that are found by looking for others: delimited
 * fields, and literals.
 *
 * p->scan counts the bytes behind p->pos that need no second look.
 */
#include "unpack_cursor.h"

/* The first delimiter that lies between S and END, or NULL. */
static const uint8_t *find(const struct ld_cursor *r, const struct ld_op *op,
                           const uint8_t *s, const uint8_t *end)
{
    int first = (uint8_t)r->f->text[op->at];
    size_t tail = op->text_len - 1u;

    while ((size_t)(end - s) > tail) {
        s = memchr(s, first, (size_t)(end - s) - tail);
        if (!s || !((ld_load_raw(s) ^ op->delimiter) & op->mask))
            return s;
        s++;
    }
    return NULL;
}

/* How many of the last of N bytes at S can be the delimiter's first. */
static uint64_t begun(const struct ld_cursor *r, const struct ld_op *op,
                      const uint8_t *s, uint64_t n)
{
    uint64_t k = op->text_len - 1u;

    for (k = k < n ? k : n; k > 0; k--)
        if (!memcmp(s + n - k, r->f->text + op->at, k))
            break;
    return k;
}

/* The delimiter is not in the first N bytes.  ROOM is how many the field may
 * have, a stripped \r included. */
static enum ld_status search_on(struct ld_cursor *r, const struct ld_op *op,
                                uint64_t n, uint64_t room)
{
    const uint8_t *s = r->frame + r->pos;
    uint64_t part = begun(r, op, s, n);
    uint64_t least = n - part;
    uint64_t need = r->pos + n + op->text_len - part;
    uint64_t certain = r->pos + room + 1;

    if (least > room)
        return ld_cursor_too_long(r, op);
    if (op->line && n > 0 && s[n - 1] == '\r')
        least--;
    if (least > op->max)
        return ld_cursor_too_long(r, op);
    if (need > certain)
        need = certain > r->avail ? certain : r->avail + 1;
    r->p->scan = (uint32_t)(n < op->text_len ? 0 : n - op->text_len + 1);
    return ld_cursor_suspend(r, need);
}

enum ld_status ld_unpack_until(struct ld_cursor *r, const struct ld_op *op)
{
    const uint8_t *s = r->frame + r->pos;
    const uint8_t *end;
    uint64_t n = r->avail - r->pos;
    uint64_t room = (uint64_t)op->max + op->line;
    uint64_t least = r->pos + op->text_len + op->rest;

    if (least > r->limit)
        return ld_cursor_too_long(r, op);
    if (room > r->limit - least)
        room = r->limit - least;
    if (n > room + op->text_len)
        n = room + op->text_len;
    end = find(r, op, s + r->p->scan, s + n);
    if (!end)
        return search_on(r, op, n, room);
    n = (uint64_t)(end - s);
    r->p->scan = 0;
    least = n - (op->line && n > 0 && end[-1] == '\r');
    if (least > op->max)
        return ld_cursor_too_long(r, op);
    if (!op->hidden)
        ld_cursor_push_bytes(r, r->pos, least);
    r->pos += n + op->text_len;
    return LD_OK;
}

/* Byte by byte: as much as is there, and the first that differs. */
static enum ld_status match(struct ld_cursor *r, const struct ld_op *op)
{
    const char *text = r->f->text + op->at;
    uint64_t i;

    for (i = r->p->scan; i < op->n; i++) {
        if (r->pos + i == r->avail) {
            r->p->scan = (uint32_t)i;
            return ld_cursor_suspend(r, r->avail + 1);
        }
        if (r->frame[r->pos + i] != (uint8_t)text[i])
            return ld_cursor_fail(r, LD_MISMATCH, op->field, r->pos + i);
    }
    r->pos += op->n;
    r->p->scan = 0;
    return LD_OK;
}

enum ld_status ld_unpack_literal(struct ld_cursor *r, const struct ld_op *op)
{
    uint64_t end = r->pos + op->n;

    if (!ld_cursor_fits(r, op, end))
        return ld_cursor_too_long(r, op);
    if (end > r->avail || op->n > 8 ||
        (ld_load_raw(r->frame + r->pos) ^ op->delimiter) & op->mask)
        return match(r, op);
    r->pos = end;
    r->p->scan = 0;
    return LD_OK;
}

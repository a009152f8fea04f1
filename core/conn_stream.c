/* conn_stream.c -- reads of any size, in pieces, as the bytes come; see
 * conn.h.
 */
#define _GNU_SOURCE /* memmem */
#include <string.h>

#include "conn_read.h"

/* A piece: all before the delimiter, or before what may be its beginning. */
enum ld_status ld_conn_try_piece(struct ld_conn *c)
{
    struct ld_await *a = c->await;
    union ld_value *v = c->pool->result->values;
    uint32_t avail = c->end - c->pos, keep = a->delimiter_size - 1U;
    const uint8_t *at =
        memmem(ld_conn_input(c), avail, a->delimiter, keep + 1U);
    uint32_t size = at ? (uint32_t)(at - ld_conn_input(c)) : avail - keep;

    if (!at && avail <= keep)
        return c->eof ? ld_conn_ended(c, avail) : LD_AGAIN;
    v[1].n = at != NULL;
    ld_conn_produce_bytes(c, size);
    if (at)
        c->pos += keep + 1U;
    return LD_OK;
}

/* How much of what is awaited is there. */
static uint32_t available(const struct ld_conn *c)
{
    uint32_t avail = ld_conn_unread(c);

    return avail > c->await->left ? (uint32_t)c->await->left : avail;
}

/* N bytes of what is awaited have been dealt with. */
static enum ld_status take(struct ld_conn *c, uint32_t n)
{
    c->pos += n;
    c->consumed = true;
    c->await->left -= n;
    if (c->await->left == 0)
        return LD_OK;
    return c->eof ? ld_conn_ended(c, 0) : LD_AGAIN;
}

enum ld_status ld_conn_try_skip(struct ld_conn *c)
{
    return take(c, available(c));
}

enum ld_status ld_conn_try_fill(struct ld_conn *c)
{
    struct ld_chain *into = c->await->into;
    uint32_t avail = available(c);
    enum ld_status st = LD_OK;

    if (avail >= LD_SHARE_MIN && c->in != c->pool->read_blob)
        st = ld_chain_share(into, c->in, c->pos, avail);
    else if (avail > 0)
        st = ld_chain_write(into, ld_conn_input(c), avail);
    return st ? st : take(c, avail);
}

enum ld_status ld_conn_piece(struct ld_conn *c, const uint8_t *delimiter,
                             uint32_t size, unsigned flags)
{
    enum ld_status st = ld_conn_admit(c);

    if (st)
        return st;
    if (!ld_conn_fresh_await(c, 0))
        return LD_NOMEM;
    memcpy(c->await->delimiter, delimiter, size);
    c->await->delimiter_size = (uint8_t)size;
    return ld_conn_begin_wait(c, LD_WAIT_PIECE, size, flags);
}

enum ld_status ld_conn_skip(struct ld_conn *c, uint64_t n)
{
    enum ld_status st = ld_conn_admit(c);

    if (st)
        return st;
    if (!ld_conn_fresh_await(c, n))
        return LD_NOMEM;
    return ld_conn_begin_wait(c, LD_WAIT_SKIP, 1, 0);
}

enum ld_status ld_conn_fill(struct ld_conn *c, struct ld_chain *into,
                            uint64_t n)
{
    enum ld_status st = ld_conn_admit(c);

    if (st)
        return st;
    if (!ld_conn_fresh_await(c, n))
        return LD_NOMEM;
    c->await->into = into;
    return ld_conn_begin_wait(c, LD_WAIT_FILL, 1, 0);
}

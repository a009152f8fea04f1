/* conn_input.c -- where a connection's input is kept; see conn.h.
 *
 * Reads go to the pool's buffer.  What is unread at the end of a turn moves
 * to a buffer of the connection's own, where a large frame is read to.  When
 * input moves, or its buffer goes, slices of it are stale.
 */
#include <string.h>

#include "conn_read.h"

enum {
    KEEP_MAX = 2048, /* unread bytes worth copying back to the read buffer */
    OWN_MIN = 4096   /* a buffer of one's own is at least this large */
};

/* C's unread input is now at the front of IN. */
static void set_input(struct ld_conn *c, struct ld_blob *in, uint32_t unread)
{
    c->in = in;
    c->pos = 0;
    c->end = unread;
    c->view++;
}

/* Keep unread input in a buffer of its own, or none. */
enum ld_status ld_conn_stow(struct ld_conn *c)
{
    uint32_t unread = c->end - c->pos;
    struct ld_blob *own;

    if (!c->in)
        return LD_OK;
    if (unread == 0) {
        if (c->in != c->pool->read_blob)
            ld_blob_unref(c->in);
        c->in = NULL;
        c->pos = c->end = 0;
        c->view++;
        return LD_OK;
    }
    if (c->in != c->pool->read_blob)
        return LD_OK;
    own = ld_blob_new(c->need > unread && c->need <= c->profile->frame_limit
                          ? c->need
                          : unread);
    if (!own)
        return LD_NOMEM;
    memcpy(own->data, c->in->data + c->pos, unread);
    set_input(c, own, unread);
    return LD_OK;
}

/* A buffer of C's own with room for more, its unread bytes at the front.  A
 * large frame gets memory of just its size, so that its bytes can be shared
 * without holding anything else. */
static enum ld_status make_room(struct ld_conn *c)
{
    uint32_t unread = c->end - c->pos, want = c->need;
    struct ld_blob *own;

    if (want < 2 * unread && want <= unread + 1)
        want = 2 * unread;
    if (want < OWN_MIN)
        want = OWN_MIN;
    if (c->in->refs == 1 && c->in->size >= want) {
        if (c->in->size - c->pos < want) {
            memmove(c->in->data, c->in->data + c->pos, unread);
            set_input(c, c->in, unread);
        }
        return LD_OK;
    }
    own = ld_blob_new(want);
    if (!own)
        return LD_NOMEM;
    memcpy(own->data, c->in->data + c->pos, unread);
    ld_blob_unref(c->in);
    set_input(c, own, unread);
    return LD_OK;
}

/* Choose where to read to: the pool's buffer, unless much is unread. */
enum ld_status ld_conn_prepare_input(struct ld_conn *c)
{
    struct ld_blob *shared = c->pool->read_blob;
    uint32_t unread = c->end - c->pos;

    if (c->in && (unread > KEEP_MAX || c->need > LD_READ_SIZE / 2))
        return make_room(c);
    if (c->in) {
        memcpy(shared->data, c->in->data + c->pos, unread);
        ld_blob_unref(c->in);
    }
    set_input(c, shared, unread);
    return LD_OK;
}

/* Straight into the buffer that a pending LD_WAIT_FILL is for. */
static enum ld_status receive_into(struct ld_conn *c)
{
    struct ld_chain *into = c->await->into;
    uint64_t left = c->await->left;
    size_t want = left < LD_READ_SIZE ? (size_t)left : LD_READ_SIZE, got = 0;
    uint8_t *dst = ld_chain_reserve(
        into,
        into->room >= LD_SHARE_MIN && into->room < want ? into->room : want);
    enum ld_status st;

    if (!dst)
        return LD_NOMEM;
    if (want > into->room)
        want = into->room;
    st = c->link.transport->read(&c->link, dst, want, &got);
    if (!st) {
        ld_chain_commit(into, got);
        c->await->left -= got;
        if (c->metered)
            ld_conn_charge(c, got);
    }
    return st;
}

/* Can C's input go where it is awaited without the read buffer?  Not when its
 * wait was left behind: what it points to may have gone. */
bool ld_conn_receives_past(struct ld_conn *c)
{
    if (!ld_conn_waiter(c))
        return false;
    if (c->wait == LD_WAIT_FILL)
        return c->await->left >= LD_SHARE_MIN;
    return ld_conn_may_splice(c);
}

enum ld_status ld_conn_receive_past(struct ld_conn *c)
{
    return c->wait == LD_WAIT_FILL ? receive_into(c) : ld_conn_splice(c);
}

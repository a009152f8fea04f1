/* channel_turn.c -- how followers of a channel are written to; see channel.h.
 */
#include <string.h>

#include "channel.h"
#include "conn_parts.h"
#include "sock.h"

enum {
    VECTORS = 128, /* entries in one call */
    AHEAD = 4,     /* followers whose memory is asked for early */
    /* When a turn's entries are joined: measured with 7 KB each. */
    JOIN_FOLLOWERS = 8,
    JOIN_ENTRIES = 4,
    JOIN_MAX = 1 << 20 /* bytes */
};

/* What one call writes: entries from F->next on, and maybe the preamble
 * among them. */
struct batch {
    struct iovec iov[VECTORS];
    int count;
    size_t bytes;
};

static void add(struct batch *b, struct ld_blob *blob, size_t off, size_t len)
{
    b->iov[b->count].iov_base = blob->data + off;
    b->iov[b->count++].iov_len = len;
    b->bytes += len;
}

/* Is entry I one of those that the turn has in one piece, and the preamble
 * not among the ones after it? */
static bool is_joined(const struct ld_follower *f, uint64_t i)
{
    const struct ld_channel *ch = f->channel;

    return ch->joined && i >= ch->joined_from &&
           (f->greet_at <= i || f->greet_at >= ch->released);
}

static void gather(const struct ld_follower *f, struct batch *b)
{
    const struct ld_channel *ch = f->channel;
    uint64_t end = ch->released > f->until ? ch->released : f->until;

    b->count = 0;
    b->bytes = 0;
    for (uint64_t i = f->next; b->count < VECTORS; i++) {
        const struct ld_entry *e;

        if (i == f->greet_at && ch->preamble)
            add(b, ch->preamble, 0, ch->preamble->size);
        if (i >= end || b->count == VECTORS)
            return;
        e = ld_channel_entry(ch, i);
        if (is_joined(f, i)) {
            size_t off = e->start - ld_channel_start(ch, ch->joined_from);

            add(b, ch->joined, off, ch->joined->size - off);
            i = ch->released - 1;
        } else {
            add(b, e->blob, e->off, e->len);
        }
    }
}

/* F has been written all, or PUT bytes, of what comes next.  The rest, if
 * there is any, is the connection's output from now on. */
static enum ld_status take(struct ld_follower *f, size_t *put)
{
    struct ld_channel *ch = f->channel;
    struct ld_conn *c = f->conn;
    struct ld_entry e;
    uint32_t done;

    if (f->next == f->greet_at && ch->preamble) {
        e = (struct ld_entry){.blob = ch->preamble, .len = ch->preamble->size};
        f->greet_at = LD_NO_ENTRY;
        f->version = ch->preamble_version;
    } else {
        e = *ld_channel_entry(ch, f->next++);
    }
    done = *put < e.len ? (uint32_t)*put : e.len;
    *put -= done;
    if (done == e.len)
        return LD_OK;
    c->out = ld_pool_chain(c->pool);
    if (!c->out)
        return LD_NOMEM;
    return ld_chain_share(c->out, e.blob, e.off + done, e.len - done);
}

/* PUT bytes of B were written.  LD_AGAIN when that is not all. */
static enum ld_status written(struct ld_follower *f, const struct batch *b,
                              size_t put)
{
    bool all = put == b->bytes;
    enum ld_status st = LD_OK;

    while (put > 0 && !st)
        st = take(f, &put);
    if (st || all)
        return st;
    f->conn->blocked = true;
    ld_follower_stuck(f);
    return LD_AGAIN;
}

static enum ld_status write_batch(struct ld_follower *f, struct batch *b)
{
    struct ld_link *l = &f->conn->link;
    enum ld_status st;
    size_t put = 0;

    if (b->count == 1)
        st = ld_link_write(l, b->iov[0].iov_base, b->iov[0].iov_len, &put);
    else
        st = l->transport->writev(l, b->iov, b->count, &put);
    return st && st != LD_AGAIN ? st : written(f, b, put);
}

enum ld_status ld_follower_write(struct ld_follower *f)
{
    enum ld_status st = LD_OK;
    struct batch b;

    if (f->conn->doom || f->conn->shut || !ld_follower_place(f))
        return LD_OK;
    do {
        gather(f, &b);
        if (b.count > 0)
            st = write_batch(f, &b);
    } while (!st && b.count == VECTORS);
    return st;
}

/* Who comes first has all it wants: the next time it is the last. */
static void rotate(struct ld_conn *c)
{
    struct ld_follower *first = c->extra->follower, *last = first;

    while (last->sibling)
        last = last->sibling;
    if (last == first)
        return;
    last->sibling = first;
    c->extra->follower = first->sibling;
    first->sibling = NULL;
}

enum ld_status ld_followers_write(struct ld_conn *c)
{
    struct ld_follower *f = c->extra->follower;
    enum ld_status st = LD_OK;

    if (f->sibling)
        rotate(c);
    for (f = c->extra->follower; f && !st; f = f->sibling)
        st = ld_follower_write(f);
    return st;
}

/* A connection that is stuck goes on when its output drains, and is looked at
 * here only to end it: it may never drain. */
static void serve(struct ld_follower *f)
{
    struct ld_conn *c = f->conn;
    enum ld_status st = LD_OK;

    if (c->doom || c->shut)
        return;
    if (c->blocked) {
        if (f->policy == LD_QUIT)
            ld_follower_place(f);
        ld_follower_stuck(f);
        return;
    }
    if (c->out)
        st = ld_conn_write_out(c);
    if (!st)
        st = ld_follower_write(f);
    if (st == LD_AGAIN)
        ld_conn_watch(c);
    else if (st)
        ld_conn_doom(c, st, false);
}

/* Followers and connections are cold, and each takes a call of its own.  gcc
 * takes a function that does nothing else for one without effect, and drops
 * calls of it: hence always_inline. */
static inline __attribute__((always_inline)) void
prefetch(const struct ld_channel *ch, uint32_t i)
{
    const struct ld_conn *c;

    if (i + 2 * AHEAD < ch->count)
        __builtin_prefetch(ch->followers[i + 2 * AHEAD]);
    if (i + AHEAD >= ch->count)
        return;
    c = ch->followers[i + AHEAD]->conn;
    __builtin_prefetch(&c->link);
    __builtin_prefetch(&c->out);
    __builtin_prefetch(&c->doom, 1);
}

/* Have what this turn releases in one piece, when many write it: one copy
 * costs less than as many vectors for each. */
static void join(struct ld_channel *ch)
{
    uint64_t from = ch->released > ch->tail ? ch->released : ch->tail;
    uint64_t start = ld_channel_start(ch, from);

    if (ch->count < JOIN_FOLLOWERS || ch->head - from < JOIN_ENTRIES ||
        ch->published - start > JOIN_MAX)
        return;
    ch->joined_from = from;
    ch->joined = ld_blob_new(ch->published - start);
    for (uint64_t i = from; ch->joined && i < ch->head; i++) {
        const struct ld_entry *e = ld_channel_entry(ch, i);

        memcpy(ch->joined->data + (e->start - start), e->blob->data + e->off,
               e->len);
    }
}

void ld_channel_turn(struct ld_channel *ch)
{
    join(ch);
    ch->released = ch->head;
    for (ch->served = 0; ch->served < ch->count;) {
        prefetch(ch, ch->served);
        serve(ch->followers[ch->served++]);
    }
    ch->served = 0;
    ch->offered = ch->head;
    ch->fresh = LD_NO_ENTRY;
    ld_blob_unref(ch->joined);
    ch->joined = NULL;
}

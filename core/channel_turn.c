/* channel_turn.c -- how followers of a channel are written to; see channel.h.
 */
#include "channel.h"
#include "sock.h"

enum {
    VECTORS = 128, /* entries in one call */
    AHEAD = 4      /* followers whose memory is asked for early */
};

/* What one call writes: entries from F->next on, and maybe the preamble
 * among them. */
struct batch {
    struct iovec iov[VECTORS];
    int count, greeting; /* of iov; -1: none */
};

static void add(struct batch *b, struct ld_blob *blob, uint32_t off,
                uint32_t len)
{
    b->iov[b->count].iov_base = blob->data + off;
    b->iov[b->count++].iov_len = len;
}

static void gather(const struct ld_follower *f, struct batch *b)
{
    const struct ld_channel *ch = f->channel;
    uint64_t end = ch->released > f->until ? ch->released : f->until;

    b->count = 0;
    b->greeting = -1;
    for (uint64_t i = f->next; b->count < VECTORS; i++) {
        const struct ld_entry *e;

        if (i == f->greet_at && ch->preamble) {
            b->greeting = b->count;
            add(b, ch->preamble, 0, ch->preamble->size);
        }
        if (i >= end || b->count == VECTORS)
            return;
        e = ld_channel_entry(ch, i);
        add(b, e->blob, e->off, e->len);
    }
}

/* F has the next piece of its batch.  DONE bytes of it are written; the rest,
 * if there is any, is the connection's output from now on. */
static enum ld_status take(struct ld_follower *f, bool greeting, size_t done)
{
    struct ld_channel *ch = f->channel;
    struct ld_conn *c = f->conn;
    struct ld_entry e;

    if (greeting) {
        e = (struct ld_entry){ch->preamble, 0, ch->preamble->size, 0};
        f->greet_at = LD_NO_ENTRY;
        f->version = ch->preamble_version;
    } else {
        e = *ld_channel_entry(ch, f->next++);
    }
    if (done == e.len)
        return LD_OK;
    c->out = ld_pool_chain(c->pool);
    if (!c->out)
        return LD_NOMEM;
    return ld_chain_share(c->out, e.blob, e.off + (uint32_t)done,
                          e.len - (uint32_t)done);
}

/* PUT bytes of B were written.  LD_AGAIN when that is not all. */
static enum ld_status written(struct ld_follower *f, const struct batch *b,
                              size_t put)
{
    enum ld_status st = LD_OK;
    int i;

    for (i = 0; i < b->count && put > 0 && !st; i++) {
        size_t len = b->iov[i].iov_len, done = put < len ? put : len;

        st = take(f, i == b->greeting, done);
        put -= done;
    }
    if (st || (i == b->count && !f->conn->out))
        return st;
    f->conn->blocked = true;
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

void ld_channel_turn(struct ld_channel *ch)
{
    ch->released = ch->head;
    for (ch->served = 0; ch->served < ch->count;) {
        prefetch(ch, ch->served);
        serve(ch->followers[ch->served++]);
    }
    ch->served = 0;
    ch->offered = ch->head;
}

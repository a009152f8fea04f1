/* conn_relay.c -- bytes that go from one connection to another; see conn.h.
 *
 * What comes is written to the other's transport straight from the read
 * buffer, if nothing is queued there, and only the rest is queued.  When more
 * than the high watermark is, the input is held, unread, until that has
 * drained to the low one.  Both ends know each other by handle alone.
 */
#include "conn_read.h"
#include "sock.h"

enum {
    LIMIT_MIN = 4096 /* an output limit below this would stop a relay */
};
static const uint64_t ENDLESS = 1ULL << 62;

/* Where C's input goes; NULL when that one has ended, or was about to: it has
 * said so, and says no more, even if its handler goes on. */
static struct ld_conn *sink_of(const struct ld_conn *c)
{
    struct ld_conn *to = ld_conn_find(c->pool, c->await->sink);

    return to && !c->await->lost && to->phase == LD_PHASE_OPEN && !to->doom
               ? to
               : NULL;
}

static enum ld_status why_lost(const struct ld_conn *c)
{
    const struct ld_conn *to = ld_conn_find(c->pool, c->await->sink);

    if (c->await->lost)
        return (enum ld_status)c->await->lost;
    return to && to->doom ? (enum ld_status)to->doom : LD_CLOSED;
}

/* N bytes of C's have gone to its sink: a sign of life for who waits. */
void ld_conn_moved(struct ld_conn *c, uint64_t n)
{
    struct ld_conn *w = ld_conn_waiter(c);

    c->await->left -= n;
    c->consumed = true;
    if (w && n > 0)
        w->heard = c->pool->now;
}

/* TO's transport takes what it can of C's first N bytes: not before what is
 * queued, and not while a coroutine runs, which may have more to write. */
static enum ld_status send_now(struct ld_conn *c, struct ld_conn *to,
                               uint32_t n, size_t *put)
{
    enum ld_status st;

    if (to->out || to->blocked || c->pool->running)
        return LD_OK;
    st = ld_link_write(&to->link, c->in->data + c->pos, n, put);
    if (st && st != LD_AGAIN) {
        ld_conn_doom(to, st, false);
        return st;
    }
    to->blocked = *put < n;
    return LD_OK;
}

/* Queue at most N bytes of C's, from OFF on; how many, in *PUT. */
static enum ld_status queue(struct ld_conn *c, struct ld_conn *to, uint32_t off,
                            uint32_t n, uint32_t *put)
{
    size_t limit = to->profile->output_limit, unsent = ld_conn_unsent(to);
    enum ld_status st;

    if (limit < LIMIT_MIN)
        limit = LIMIT_MIN;
    *put = 0;
    if (unsent >= limit)
        return LD_OK;
    if (n > limit - unsent)
        n = (uint32_t)(limit - unsent);
    if (!to->out)
        to->out = ld_pool_chain(to->pool);
    if (!to->out)
        return LD_NOMEM;
    if (n >= LD_SHARE_MIN && c->in != c->pool->read_blob)
        st = ld_chain_share(to->out, c->in, c->pos + off, n);
    else
        st = ld_chain_write(to->out, c->in->data + c->pos + off, n);
    if (!st)
        *put = n;
    return st;
}

/* Have what is queued for TO leave. */
static void send_soon(struct ld_conn *to)
{
    if (to->blocked)
        ld_conn_watch(to);
    else if (to->pool->running != to)
        ld_conn_queue(to);
}

/* Move what of C's input is there and has room. */
static enum ld_status move(struct ld_conn *c, struct ld_conn *to)
{
    uint32_t n = ld_conn_unread(c), queued = 0;
    enum ld_status st;
    size_t put = 0;

    if (n > c->await->left)
        n = (uint32_t)c->await->left;
    if (n == 0)
        return LD_OK;
    if (to->shut)
        return LD_CLOSED;
    st = send_now(c, to, n, &put);
    if (st)
        return st;
    c->await->bulk = put == LD_READ_SIZE ? LD_READ_SIZE : 0;
    if (put < n) {
        st = queue(c, to, (uint32_t)put, n - (uint32_t)put, &queued);
        send_soon(to);
    }
    c->pos += (uint32_t)put + queued;
    ld_conn_moved(c, put + queued);
    return st;
}

/* Above the high watermark the input is held, until output is below the low
 * one.  C's own output holds a relay as it does any read. */
static bool is_held(const struct ld_conn *c, const struct ld_conn *to)
{
    if (!c->held)
        return ld_conn_unsent(to) > LD_HIGH_WATER;
    return ld_conn_unsent(to) > LD_LOW_WATER ||
           (c->wait == LD_WAIT_RELAY && ld_conn_unsent(c) > LD_LOW_WATER);
}

/* Move what can be, and hold C if that was not all. */
static enum ld_status pass(struct ld_conn *c, struct ld_conn *to)
{
    enum ld_status st;

    c->held = is_held(c, to);
    if (c->held)
        return LD_OK;
    st = move(c, to);
    c->held = c->await->left > 0 &&
              (ld_conn_unsent(to) > LD_HIGH_WATER || ld_conn_unread(c) > 0);
    return st;
}

enum ld_status ld_conn_try_relay(struct ld_conn *c)
{
    struct ld_conn *to = sink_of(c);
    enum ld_status st;

    if (!to)
        return why_lost(c);
    st = pass(c, to);
    if (st || c->await->left == 0)
        return st;
    return c->eof && !c->held ? ld_conn_ended(c, 0) : LD_AGAIN;
}

/* C's side has ended and all of it was moved: so ends the output of TO.  Done
 * when that has left. */
static void carry_end(struct ld_conn *c, struct ld_conn *to)
{
    c->eof_told = true;
    ld_conn_shutdown(to);
    c->held = to->out != NULL; /* to be tried when it has drained */
    c->await->done = !c->held;
}

static void report(struct ld_conn *c, const struct ld_conn *to)
{
    bool first = c->await->first;
    uint64_t there = ENDLESS - (first ? c : to)->await->left;
    uint64_t back = ENDLESS - (first ? to : c)->await->left;

    c->pool->result->values[0].n = (double)there;
    c->pool->result->values[1].n = (double)back;
}

enum ld_status ld_conn_try_pipe(struct ld_conn *c)
{
    struct ld_conn *to = sink_of(c);
    enum ld_status st;

    if (!to || to->wait != LD_WAIT_PIPE)
        return why_lost(c);
    if (!c->await->done) {
        st = pass(c, to);
        if (st)
            return st;
        if (c->eof && ld_conn_unread(c) == 0)
            carry_end(c, to);
    }
    if (!c->await->done || !to->await->done)
        return LD_AGAIN;
    report(c, to);
    return LD_OK;
}

void ld_conn_unpipe(struct ld_conn *c)
{
    struct ld_conn *other = ld_conn_find(c->pool, c->await->sink);

    c->await->sink = 0;
    if (!other || other->wait != LD_WAIT_PIPE ||
        other->await->sink != ld_conn_handle(c))
        return;
    ld_conn_drop_wait(other);
    ld_conn_queue(other); /* to be watched as one that nobody reads */
}

/* C's input is to go to TO from now on. */
static enum ld_status attach(struct ld_conn *c, struct ld_conn *to,
                             enum ld_wait kind, uint64_t n)
{
    struct ld_await *a = ld_conn_fresh_await(c, n);
    enum ld_status st;

    if (!a)
        return LD_NOMEM;
    c->pool->result->size = 0;
    st = ld_conn_depend(to, ld_conn_handle(c), false);
    if (st)
        return st;
    a->sink = ld_conn_handle(to);
    a->bulk = 0;
    a->lost = LD_OK;
    a->first = a->done = false;
    c->flags = 0;
    c->need = 1;
    c->wait = (uint8_t)kind;
    return LD_OK;
}

enum ld_status ld_conn_relay(struct ld_conn *c, struct ld_conn *to, uint64_t n)
{
    enum ld_status st = ld_conn_admit(c);

    if (st)
        return st;
    if (to->phase != LD_PHASE_OPEN || to->doom)
        return to->doom ? (enum ld_status)to->doom : LD_CLOSED;
    st = attach(c, to, LD_WAIT_RELAY, n);
    if (!st) {
        c->held = ld_conn_over_high_water(c);
        st = ld_conn_try_relay(c);
    }
    if (st != LD_AGAIN)
        ld_conn_drop_wait(c);
    return st;
}

/* A pipe is a wait of two connections, and its coroutine is away at both, even
 * if one is its own: either can wake it. */
static void belong(struct ld_conn *c, const struct ld_conn *running)
{
    c->waiter = ld_conn_handle(running);
    c->waiter_epoch = running->epoch;
    c->pool->elsewhere = c;
    ld_conn_queue(c);
}

static enum ld_status begin_pipe(struct ld_conn *c, struct ld_conn *other)
{
    enum ld_status st = attach(c, other, LD_WAIT_PIPE, ENDLESS);

    if (!st)
        st = attach(other, c, LD_WAIT_PIPE, ENDLESS);
    if (st)
        return st;
    c->await->first = true;
    belong(c, c->pool->running);
    belong(other, c->pool->running);
    st = ld_conn_try_pipe(c);
    return st == LD_AGAIN ? ld_conn_try_pipe(other) : st;
}

enum ld_status ld_conn_pipe(struct ld_conn *c, struct ld_conn *other)
{
    enum ld_status st = ld_conn_admit(c);

    if (!st)
        st = ld_conn_admit(other);
    if (st)
        return st;
    st = begin_pipe(c, other);
    if (st != LD_AGAIN) {
        ld_conn_drop_wait(c);
        ld_conn_drop_wait(other);
    }
    return st;
}

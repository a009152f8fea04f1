/* conn.c -- a connection's life and events; see conn.h.
 *
 * One turn: an event, at most one read, at most one wake of the handler, one
 * write of all that it wrote.  `wait` says what the handler awaits; while its
 * coroutine runs it is LD_WAIT_NONE.
 */
#include "conn_parts.h"

#include <math.h>

#include "channel.h"
#include "sock.h"

/* Around a system call; sock.h says why. */
#define INLINED static inline __attribute__((always_inline))

enum {
    DIRTY_MAX = 256, /* connections with unflushed output from others */
    WAKES_MAX = 16,  /* in one turn, of a handler that only writes */
    READ_AHEAD_MAX = 1 << 14, /* bytes, while nobody reads */
    OUTPUT_VECTORS = 64
};

static const double NEWCOMER_SECONDS = 1;

_Static_assert(sizeof(struct ld_conn) <= 256, "many connections are idle");

static void on_io(struct ev_loop *loop, ev_io *w, int events);

struct ld_conn *ld_conn_new(struct ld_pool *pool, struct ld_link link,
                            const struct ld_profile *profile)
{
    struct ld_conn *c = ld_pool_take(pool);

    if (!c)
        return NULL;
    c->link = link;
    c->profile = profile;
    c->began = c->heard = c->entered = pool->now;
    c->timer.fire = ld_conn_deadline;
    c->wait = LD_WAIT_START;
    c->state = LD_NO_STATE;
    ev_init(&c->io, on_io);
    return c;
}

void ld_conn_begin(struct ld_conn *c)
{
    c->newcomer = true;
    ld_conn_run(c, LD_OK);
}

/* Watch what the connection can use now: input unless it has ended or nobody
 * wants it, room for output when some is stuck. */
void ld_conn_watch(struct ld_conn *c)
{
    int wanted = 0;

    if (ev_is_active(&c->io) && c->io.events == LD_READ && !c->blocked &&
        !c->eof && ld_conn_wants_input(c) && c->phase == LD_PHASE_OPEN &&
        c->link.transport == &ld_sock)
        return; /* as mostly */
    if (c->phase == LD_PHASE_LINGERING ||
        (c->phase == LD_PHASE_OPEN && !c->eof && ld_conn_wants_input(c)))
        wanted |= LD_READ;
    if (c->blocked)
        wanted |= LD_WRITE;
    if ((wanted & LD_READ) && c->pool->loop && c->link.transport->buffered &&
        c->link.transport->buffered(&c->link))
        ev_feed_event(c->pool->loop, &c->io, LD_READ);
    wanted = c->link.transport->wants(&c->link, wanted);
    if (c->link.fd < 0 || !c->pool->loop) {
        c->io.events = wanted; /* a test looks here */
        return;
    }
    if (ev_is_active(&c->io)) {
        if ((c->io.events & (LD_READ | LD_WRITE)) == wanted)
            return;
        ev_io_stop(c->pool->loop, &c->io);
    }
    ev_io_set(&c->io, c->link.fd, wanted);
    if (wanted)
        ev_io_start(c->pool->loop, &c->io);
}

/* All segments of the output, or as many as one call takes. */
static enum ld_status write_segments(struct ld_conn *c, size_t *put)
{
    struct iovec iov[OUTPUT_VECTORS];

    return c->link.transport->writev(
        &c->link, iov, ld_chain_iov(c->out, iov, OUTPUT_VECTORS), put);
}

/* PUT bytes were taken, not all of them, or the transport is lost. */
static enum ld_status written_in_part(struct ld_conn *c, enum ld_status st,
                                      size_t put)
{
    if (st && st != LD_AGAIN) {
        ld_pool_return_chain(c->pool, c->out);
        c->out = NULL;
        return st;
    }
    ld_chain_consume(c->out, put);
    c->blocked = true;
    if (c->profile->stall < HUGE_VAL && (put > 0 || !c->stalling))
        ld_conn_stalled(c);
    if (c->depended && c->out->bytes <= LD_LOW_WATER)
        ld_conn_tell_dependents(c);
    return LD_AGAIN;
}

/* All output has left. */
static void drained(struct ld_conn *c)
{
    c->stalling = false;
    if (c->shut)
        c->link.transport->shutdown(&c->link);
    if (c->depended)
        ld_conn_tell_dependents(c);
}

/* What the transport keeps has to go, too. */
INLINED enum ld_status flush_link(struct ld_conn *c)
{
    enum ld_status st;

    if (c->link.transport == &ld_sock || !c->link.transport->flush)
        return LD_OK;
    st = c->link.transport->flush(&c->link);
    c->blocked = st == LD_AGAIN;
    if (!c->blocked && c->depended)
        ld_conn_tell_dependents(c);
    return st;
}

/* Write as much as the transport takes in one call. */
INLINED enum ld_status write_out(struct ld_conn *c)
{
    struct ld_chain *q = c->out;
    const struct ld_segment *s;
    size_t put = 0;
    enum ld_status st = LD_OK;

    c->blocked = false;
    if (!q)
        return flush_link(c);
    s = &q->segments[q->head];
    if (q->count == 1 && s->len > 0)
        st = ld_link_write(&c->link, s->blob->data + s->off, s->len, &put);
    else if (q->bytes > 0)
        st = write_segments(c, &put);
    if (st || put < q->bytes)
        return written_in_part(c, st, put);
    c->out = NULL;
    ld_pool_return_chain(c->pool, q);
    if (c->shut | c->depended | c->stalling)
        drained(c);
    return flush_link(c);
}

enum ld_status ld_conn_write_out(struct ld_conn *c)
{
    return write_out(c);
}

/* Is there anybody to be told that C is to end? */
static bool must_know(const struct ld_conn *c)
{
    return c->wait || c->parked || (c->passive && c->doom == LD_CLOSED);
}

/* End of a turn: output leaves, input is stowed.  LD_AGAIN when the handler
 * has to wait for an event; else it is to be woken with what is returned. */
INLINED enum ld_status settle(struct ld_conn *c)
{
    enum ld_status st;

    if (c->wait == LD_WAIT_START && !c->doom)
        return LD_OK; /* the same turn goes on, in another state */
    st = write_out(c);
    if (c->follows && !st)
        st = ld_followers_write(c);
    if (c->in && ld_conn_stow(c))
        st = LD_NOMEM;
    if (st && st != LD_AGAIN && !c->doom)
        c->doom = (uint8_t)st;
    if (c->doom && c->depended)
        ld_conn_tell_dependents(c);
    if (c->doom && must_know(c))
        return (enum ld_status)c->doom;
    if (!ld_conn_wants_input(c)) {
        st = ld_conn_try_wait(c);
        if (st != LD_AGAIN)
            return st;
    }
    if (c->quick_ack)
        ld_sock_quick_ack(&c->link);
    ld_conn_watch(c);
    return LD_AGAIN;
}

void ld_conn_settle(struct ld_conn *c)
{
    enum ld_status st;

    if (c->news && !ld_conn_attend(c))
        return;
    st = settle(c);
    if (st != LD_AGAIN)
        ld_conn_run(c, st);
}

/* Has C, which awaits nothing but room for output, had its share of the turn?
 * A peer as fast as the handler would keep the loop from all others. */
static bool had_its_share(const struct ld_conn *c, int wakes)
{
    return wakes >= WAKES_MAX && c->pool->loop && !c->doom &&
           (c->wait == LD_WAIT_FLUSH || c->wait == LD_WAIT_ROOM);
}

/* Wake the handler, and again while the end of its turn gives it reason.  The
 * connection may be gone afterwards. */
INLINED void run(struct ld_conn *c, enum ld_status st)
{
    struct ld_pool *pool = c->pool;
    uint32_t generation = c->generation;
    int wakes = 0;

    do {
        pool->hooks.wake(pool->hooks.ctx, c, st);
        if (c->generation != generation || c->phase != LD_PHASE_OPEN)
            return;
        if (c->news && !ld_conn_attend(c))
            return;
        st = settle(c);
    } while (st != LD_AGAIN && !had_its_share(c, ++wakes));
    if (st == LD_AGAIN)
        return;
    c->blocked = true; /* go on when the loop says that there is room */
    ld_conn_watch(c);
}

void ld_conn_run(struct ld_conn *c, enum ld_status st)
{
    run(c, st);
}

bool ld_conn_wants_input(const struct ld_conn *c)
{
    if (c->throttled)
        return false;
    if (c->wait == LD_WAIT_NONE)
        return ld_conn_unread(c) < READ_AHEAD_MAX && !c->doom;
    return c->wait != LD_WAIT_FLUSH && c->wait != LD_WAIT_ROOM && !c->held;
}

/* One read. */
INLINED enum ld_status receive(struct ld_conn *c)
{
    enum ld_status st;
    size_t got = 0;

    if (c->wait >= LD_WAIT_FILL && !c->in && ld_conn_receives_past(c)) {
        st = ld_conn_receive_past(c);
    } else {
        st = ld_conn_prepare_input(c);
        if (st)
            return st;
        st = ld_link_read(&c->link, c->in->data + c->end, c->in->size - c->end,
                          &got);
        c->end += (uint32_t)got;
        if (c->metered)
            ld_conn_charge(c, got);
    }
    if (!st)
        c->heard = c->pool->now;
    if (st == LD_EOF) {
        c->eof = true;
        st = LD_OK;
    }
    return st;
}

/* Something came to C, which nobody reads now. */
static enum ld_status unread_by_anybody(struct ld_conn *c)
{
    if (c->stray)
        c->pool->hooks.stray(c->pool->hooks.ctx, c);
    return LD_AGAIN;
}

INLINED void input_ready(struct ld_conn *c)
{
    enum ld_status st;

    if (c->news && !ld_conn_attend(c))
        return;
    if (c->eof || !ld_conn_wants_input(c)) {
        ld_conn_watch(c);
        return;
    }
    st = receive(c);
    if (!st)
        st = ld_conn_try_wait(c);
    else if (st != LD_AGAIN)
        c->doom = (uint8_t)st;
    if (c->wait == LD_WAIT_NONE)
        st = unread_by_anybody(c);
    if (st == LD_AGAIN)
        ld_conn_settle(c);
    else
        run(c, st);
}

INLINED void ready(struct ld_conn *c, int events)
{
    uint32_t generation = c->generation;

    if (c->phase != LD_PHASE_OPEN) {
        ld_conn_end_ready(c, events);
        return;
    }
    if (events & LD_WRITE)
        ld_conn_settle(c);
    if ((events & LD_READ) && c->generation == generation &&
        c->phase == LD_PHASE_OPEN)
        input_ready(c);
}

void ld_conn_ready(struct ld_conn *c, int events)
{
    ready(c, events);
}

/* Who is served already does not wait for all that have just come, and may be
 * about to leave. */
static bool must_wait(struct ld_conn *c)
{
    c->newcomer = !c->consumed && c->pool->now < c->began + NEWCOMER_SECONDS;
    return c->newcomer && !ld_crowd_admits(&c->pool->newcomers);
}

static void on_io(struct ev_loop *loop, ev_io *w, int events)
{
    struct ld_conn *c = (struct ld_conn *)(void *)w;

    (void)loop;
    if (c->newcomer && must_wait(c))
        return;
    ready(c, events & (LD_READ | LD_WRITE));
}

/* Have C settled before the loop blocks. */
void ld_conn_queue(struct ld_conn *c)
{
    struct ld_pool *pool = c->pool;

    if (c->queued || c->phase != LD_PHASE_OPEN)
        return;
    c->queued = true;
    ld_pool_queue(pool, ld_conn_handle(c));
}

static bool over_output_limit(const struct ld_conn *c)
{
    return c->out && (c->out->bytes > c->profile->output_limit ||
                      (c->pool->starved && c->out->bytes > LD_HIGH_WATER));
}

/* Above its limit a handler that goes on writing adds no more, nor later: what
 * follows a gap would hide it. */
struct ld_chain *ld_conn_output(struct ld_conn *c)
{
    if (c->phase != LD_PHASE_OPEN || c->shut || c->doom == LD_LIMIT)
        return NULL;
    if (over_output_limit(c)) {
        ld_conn_doom(c, LD_LIMIT, false);
        return NULL;
    }
    if (!c->out)
        c->out = ld_pool_chain(c->pool);
    return c->out;
}

/* Output of the running connection leaves at the end of its turn; that of
 * others soon, but many of them must not hold a chunk each. */
void ld_conn_wrote(struct ld_conn *c)
{
    enum ld_status st = LD_OK;

    if (over_output_limit(c)) {
        ld_conn_doom(c, LD_LIMIT, false);
        return;
    }
    if (c->pool->running == c)
        return;
    ld_conn_queue(c);
    if (ld_pool_dirty(c->pool) > DIRTY_MAX)
        st = ld_conn_write_out(c);
    if (st && st != LD_AGAIN)
        ld_conn_doom(c, st, false);
}

void ld_conn_shutdown(struct ld_conn *c)
{
    if (c->phase != LD_PHASE_OPEN || c->shut)
        return;
    c->shut = true;
    if (!c->out)
        c->link.transport->shutdown(&c->link);
}

enum ld_status ld_conn_flush(struct ld_conn *c)
{
    if (!ld_conn_has_output(c) || c->doom || c->phase != LD_PHASE_OPEN)
        return LD_OK;
    if (!c->pool->running || c->pool->in_hook)
        return LD_HOOK;
    if (c->pool->running != c || ld_conn_is_read(c))
        return ld_conn_drained(c);
    c->wait = LD_WAIT_FLUSH;
    c->view++;
    return LD_AGAIN;
}

void ld_conn_doom(struct ld_conn *c, enum ld_status st, bool reset)
{
    if (c->phase != LD_PHASE_OPEN)
        return;
    c->reset |= reset;
    if (c->doom && !(c->passive && st == LD_CLOSED))
        return;
    c->doom = (uint8_t)st;
    if (c->pool->running != c)
        ld_conn_queue(c);
}

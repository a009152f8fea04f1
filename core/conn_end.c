/* conn_end.c -- how a connection ends; see conn.h.
 *
 * FLUSHING: what was queued is written, for at most the profile's linger.
 * LINGERING: closing a socket with unread input makes the kernel send a
 * reset, which can destroy output that was delivered but not read; so end
 * our side, and drop what still comes until the peer ends its own.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "conn_parts.h"

static const double LINGER_SECONDS = 2;
enum { LINGER_BYTES = 1 << 20 };

static void release(struct ld_conn *c)
{
    struct ld_pool *pool = c->pool;

    if (pool->loop && ev_is_active(&c->io))
        ev_io_stop(pool->loop, &c->io);
    if (pool->loop && ev_is_pending(&c->io))
        ev_clear_pending(pool->loop, &c->io);
    c->link.transport->close(&c->link, c->reset);
    ld_timer_cancel(&pool->timers, &c->timer);
    ld_conn_drop_wait(c);
    if (c->out)
        ld_pool_return_chain(pool, c->out);
    c->out = NULL;
    if (c->in != pool->read_blob)
        ld_blob_unref(c->in);
    c->in = NULL;
    c->pos = c->end = 0;
    c->phase = LD_PHASE_LINGERING; /* alive for ld_hooks.closed, no I/O */
    pool->hooks.closed(pool->hooks.ctx, c);
    ld_conn_leave_family(c);
    ld_pool_give(pool, c);
}

/* Output has gone. */
static void after_flush(struct ld_conn *c)
{
    bool unread = ld_conn_unread(c) > 0 ||
                  (!c->eof && c->link.transport->pending(&c->link));

    if (c->eof || !unread) {
        release(c);
        return;
    }
    c->link.transport->shutdown(&c->link);
    c->phase = LD_PHASE_LINGERING;
    c->pos = c->end = 0;
    c->need = LINGER_BYTES;
    if (c->in != c->pool->read_blob)
        ld_blob_unref(c->in);
    c->in = NULL;
    ld_timer_set(&c->pool->timers, &c->timer, c->pool->now + LINGER_SECONDS);
    ld_conn_watch(c);
}

static void flush(struct ld_conn *c)
{
    enum ld_status st = ld_conn_write_out(c);

    if (st == LD_AGAIN)
        ld_conn_watch(c);
    else if (st)
        release(c);
    else
        after_flush(c);
}

/* A coroutine elsewhere that reads C is to know. */
void ld_conn_tell_reader(struct ld_conn *c)
{
    struct ld_conn *w = c->waiter ? ld_conn_waiter(c) : NULL;

    if (w && w->parked)
        ld_conn_tell(w, LD_NEWS_UNPARKED);
}

void ld_conn_finish(struct ld_conn *c)
{
    bool lost = c->doom == LD_RESET || c->doom == LD_ERROR;

    if (c->follows)
        ld_channel_forget(c);
    c->queued = false;
    c->parked = LD_NOT_PARKED;
    ld_conn_tell_reader(c);
    ld_conn_drop_wait(c);
    c->view++; /* its input goes, and slices of it with it */
    c->phase = LD_PHASE_FLUSHING;
    if (c->depended)
        ld_conn_tell_dependents(c);
    if (c->reset || lost || c->link.transport == &ld_nowhere) {
        release(c);
        return;
    }
    ld_timer_cancel(&c->pool->timers, &c->timer);
    if (c->out)
        ld_timer_set(&c->pool->timers, &c->timer,
                     c->pool->now + c->profile->linger);
    flush(c);
}

static void drain_input(struct ld_conn *c)
{
    struct ld_blob *shared = c->pool->read_blob;
    size_t got = 0;
    enum ld_status st =
        c->link.transport->read(&c->link, shared->data, shared->size, &got);

    if (st == LD_AGAIN)
        return;
    if (st || got >= c->need)
        release(c);
    else
        c->need -= (uint32_t)got;
}

void ld_conn_end_ready(struct ld_conn *c, int events)
{
    if (c->phase == LD_PHASE_FLUSHING && (events & LD_WRITE))
        flush(c);
    else if (c->phase == LD_PHASE_LINGERING && (events & LD_READ))
        drain_input(c);
}

/* A peer that did not take all in time must not mistake it for the whole. */
void ld_conn_end_timeout(struct ld_conn *c)
{
    if (c->out)
        c->reset = true;
    release(c);
}

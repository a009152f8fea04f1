/* conn_meter.c -- connections whose source has sent more than its share wait
 * until it may go on; see conn.h.
 *
 * What they send stays with the kernel, and so, in the end, with the sender.
 */
#include <errno.h>

#include "conn_read.h"

static const double SHORTEST = 0.005; /* seconds */

static void on_time(struct ld_timer *t, double now)
{
    struct ld_meter *m =
        (struct ld_meter *)(void *)((char *)t -
                                    offsetof(struct ld_meter, timer));
    struct ld_conn *c = ld_conn_find(m->pool, m->handle);

    (void)now;
    if (!c)
        return;
    c->throttled = false;
    c->heard = m->pool->now; /* it was not the peer that was silent */
    if (c->phase == LD_PHASE_OPEN)
        ld_conn_queue(c);
}

enum ld_status ld_conn_meter(struct ld_conn *c, struct ld_source *source)
{
    struct ld_extra *x = ld_conn_extra(c);

    if (!x)
        return LD_NOMEM;
    x->meter.source = source;
    x->meter.pool = c->pool;
    x->meter.handle = ld_conn_handle(c);
    x->meter.timer.fire = on_time;
    c->metered = source != NULL;
    return LD_OK;
}

void ld_conn_charge(struct ld_conn *c, uint64_t n)
{
    struct ld_pool *pool = c->pool;
    struct ld_meter *m = &c->extra->meter;
    double wait = ld_source_charge(pool->sources, m->source, n, pool->now);

    if (wait <= 0 || c->throttled)
        return;
    c->throttled =
        !ld_timer_set(&pool->timers, &m->timer,
                      pool->now + (wait > SHORTEST ? wait : SHORTEST));
    pool->throttled += c->throttled;
}

/* C ends. */
void ld_conn_unmeter(struct ld_conn *c)
{
    struct ld_meter *m = &c->extra->meter;

    ld_timer_cancel(&c->pool->timers, &m->timer);
    ld_sources_leave(m->source);
    m->source = NULL;
    c->metered = c->throttled = false;
}

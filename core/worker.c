/* worker.c -- see worker.h. */
#include "worker.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

/* Deadlines are in seconds; the coarse clock costs a tenth of the fine one. */
static double coarse_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void on_deadline(struct ev_loop *loop, ev_timer *t, int events)
{
    struct ld_worker *w = t->data;

    (void)loop;
    (void)events;
    w->armed = HUGE_VAL;
    w->pool->now = coarse_now();
    ld_timers_run(&w->pool->timers, w->pool->now);
}

static void on_alarm(struct ev_loop *loop, ev_timer *t, int events)
{
    struct ld_worker *w = t->data;

    (void)loop;
    (void)events;
    w->alarm_armed = HUGE_VAL;
    ld_timers_run(&w->pool->alarms, ld_monotonic());
}

/* The loop's clock is that of its last wake-up, so tell it how late it is. */
static void arm_alarm(struct ld_worker *w)
{
    double next = ld_timers_next(&w->pool->alarms), wait;

    if (next >= w->alarm_armed)
        return;
    wait = next - ld_monotonic();
    ev_now_update(w->loop);
    ev_timer_stop(w->loop, &w->alarm);
    ev_timer_set(&w->alarm, wait > 0 ? wait : 0, 0);
    ev_timer_start(w->loop, &w->alarm);
    w->alarm_armed = next;
}

static void on_more(struct ev_loop *loop, ev_idle *i, int events)
{
    (void)loop;
    (void)i;
    (void)events;
}

/* Before the loop blocks.  Like a connection's timer, the loop's is only moved
 * when it would fire too late. */
static void on_prepare(struct ev_loop *loop, ev_prepare *p, int events)
{
    struct ld_worker *w = p->data;
    double next, wait;

    (void)events;
    if (ld_pool_settle(w->pool))
        ev_idle_start(loop, &w->more);
    else if (ev_is_active(&w->more))
        ev_idle_stop(loop, &w->more);
    arm_alarm(w);
    next = ld_timers_next(&w->pool->timers);
    if (next >= w->armed)
        return;
    wait = next - coarse_now();
    ev_timer_stop(loop, &w->deadline);
    /* A tick more: the coarse clock lags. */
    ev_timer_set(&w->deadline, (wait > 0 ? wait : 0) + 0.005, 0);
    ev_timer_start(loop, &w->deadline);
    w->armed = next;
}

static void on_check(struct ev_loop *loop, ev_check *c, int events)
{
    struct ld_pool *pool = ((struct ld_worker *)c->data)->pool;

    (void)loop;
    (void)events;
    pool->now = coarse_now();
    ld_crowd_wake(&pool->newcomers);
    ld_crowd_wake(&pool->handshakes);
}

struct ld_worker *ld_worker_new(struct ev_loop *loop, const struct ld_log *log)
{
    struct ld_pool *pool = ld_pool_new(loop, log);
    struct ld_worker *w = pool ? ld_worker_adopt(loop, pool) : NULL;

    if (!w && pool)
        ld_pool_free(pool);
    return w;
}

struct ld_worker *ld_worker_adopt(struct ev_loop *loop, struct ld_pool *pool)
{
    struct ld_worker *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->pool = pool;
    pool->loop = loop;
    w->loop = loop;
    w->armed = w->alarm_armed = HUGE_VAL;
    w->pool->now = coarse_now();
    ev_prepare_init(&w->prepare, on_prepare);
    ev_check_init(&w->check, on_check);
    ev_set_priority(&w->check, EV_MAXPRI); /* before any connection */
    ev_init(&w->deadline, on_deadline);
    ev_init(&w->alarm, on_alarm);
    ev_idle_init(&w->more, on_more);
    w->prepare.data = w->check.data = w->deadline.data = w->alarm.data = w;
    ev_prepare_start(loop, &w->prepare);
    ev_check_start(loop, &w->check);
    ev_unref(loop); /* none of these keeps the loop alive */
    ev_unref(loop);
    return w;
}

void ld_worker_free(struct ld_worker *w)
{
    ev_ref(w->loop);
    ev_ref(w->loop);
    ev_prepare_stop(w->loop, &w->prepare);
    ev_check_stop(w->loop, &w->check);
    ev_timer_stop(w->loop, &w->deadline);
    ev_timer_stop(w->loop, &w->alarm);
    ev_idle_stop(w->loop, &w->more);
    ld_pool_free(w->pool);
    free(w);
}

/* conn_state.c -- the state of a connection, and its deadlines; see conn.h. */
#include <stdlib.h>
#include <string.h>

#include "conn_parts.h"

static const struct ld_timeouts *timeouts_of(const struct ld_conn *c)
{
    const struct ld_timeouts *override = c->extra ? c->extra->override : NULL;

    return (override ? override : c->profile->timeouts) + c->state;
}

static double deadline(const struct ld_conn *c)
{
    const struct ld_timeouts *t = timeouts_of(c);
    double since = c->heard > c->entered ? c->heard : c->entered;
    double total = c->entered + t->total, idle = since + t->idle;
    double at = total < idle ? total : idle;
    double life = c->began + c->profile->lifetime;

    if (c->stalling && c->extra->stalled + c->profile->stall < at)
        at = c->extra->stalled + c->profile->stall;
    return life < at ? life : at;
}

/* The timer is only ever moved earlier here; when it fires too early it is
 * set again.  So bytes and transitions cost no heap operation. */
void ld_conn_arm(struct ld_conn *c)
{
    struct ld_timers *timers = &c->pool->timers;
    double at = deadline(c);

    if (at < ld_timer_at(timers, &c->timer))
        ld_timer_set(timers, &c->timer, at);
}

/* The peer takes no more now; it may have taken some. */
void ld_conn_stalled(struct ld_conn *c)
{
    struct ld_extra *x = ld_conn_extra(c);

    if (!x || c->phase != LD_PHASE_OPEN || c->passive)
        return;
    x->stalled = c->pool->now;
    c->stalling = true;
    if (c->state != LD_NO_STATE)
        ld_conn_arm(c);
}

const char *ld_conn_late(const struct ld_conn *c)
{
    const struct ld_timeouts *t = timeouts_of(c);
    double now = c->pool->now;

    if (c->stalling && c->extra->stalled + c->profile->stall <= now)
        return "stall";
    if (c->began + c->profile->lifetime <= now)
        return "lifetime";
    return c->entered + t->total <= now ? "total" : "idle";
}

void ld_conn_deadline(struct ld_timer *t, double now)
{
    struct ld_conn *c =
        (struct ld_conn *)(void *)((char *)t - offsetof(struct ld_conn, timer));

    if (c->phase != LD_PHASE_OPEN) {
        ld_conn_end_timeout(c);
        return;
    }
    if (deadline(c) > now) {
        ld_conn_arm(c);
        return;
    }
    c->doom = LD_TIMEOUT;
    ld_conn_run(c, LD_TIMEOUT);
}

/* Entering the same state again in one turn moves no deadline. */
enum ld_status ld_conn_enter(struct ld_conn *c, uint32_t state)
{
    double now = c->pool->now;

    if (c->doom)
        return (enum ld_status)c->doom;
    if (c->news & LD_NEWS_MOVED) {
        c->news &= (uint8_t)~LD_NEWS_MOVED;
        return LD_MOVED;
    }
    if ((c->news & LD_NEWS_POSTPONED) && c->state != state)
        c->news = LD_NEWS_MAIL;
    if (c->consumed)
        c->newcomer = false;
    c->consumed = c->wrote = false;
    if (c->state != state || c->entered != now || !c->timer.index) {
        c->state = (uint16_t)state;
        c->entered = now;
        ld_conn_arm(c);
    }
    if ((!ld_conn_over_high_water(c) && !(c->news & LD_NEWS_MAIL)) ||
        c->pool->running != c || ld_conn_is_read(c))
        return LD_OK;
    c->wait = LD_WAIT_ROOM;
    c->view++;
    return LD_AGAIN;
}

enum ld_status ld_conn_timeout(struct ld_conn *c, uint32_t state,
                               struct ld_timeouts t)
{
    size_t size = c->profile->state_count * sizeof(t);
    struct ld_extra *extra;

    if (c->phase != LD_PHASE_OPEN)
        return LD_OK; /* its timer serves the end now */
    extra = ld_conn_extra(c);
    if (!extra)
        return LD_NOMEM;
    if (!extra->override) {
        extra->override = malloc(size);
        if (!extra->override)
            return LD_NOMEM;
        memcpy(extra->override, c->profile->timeouts, size);
    }
    extra->override[state] = t;
    if (state == c->state)
        ld_conn_arm(c);
    return LD_OK;
}

/* The timeouts of each state of PROFILE for C, which has its own; or NULL. */
static struct ld_timeouts *carry_timeouts(const struct ld_conn *c,
                                          const struct ld_profile *profile,
                                          const uint16_t *former)
{
    const struct ld_timeouts *was = c->profile->timeouts;
    const struct ld_timeouts *own = c->extra->override;
    struct ld_timeouts *t = malloc((profile->state_count + 1) * sizeof(*t));

    for (uint32_t i = 0; t && i < profile->state_count; i++) {
        uint16_t k = former[i];

        t[i] = profile->timeouts[i];
        if (k != LD_NO_STATE && memcmp(&own[k], &was[k], sizeof(*own)) != 0)
            t[i] = own[k];
    }
    return t;
}

enum ld_status ld_conn_rehouse(struct ld_conn *c,
                               const struct ld_profile *profile,
                               const uint16_t *former)
{
    uint16_t state = LD_NO_STATE;

    if (c->extra && c->extra->override) {
        struct ld_timeouts *t = carry_timeouts(c, profile, former);

        if (!t)
            return LD_NOMEM;
        free(c->extra->override);
        c->extra->override = t;
    }
    for (uint32_t i = 0; i < profile->state_count; i++)
        if (former[i] == c->state && c->state != LD_NO_STATE)
            state = (uint16_t)i;
    c->profile = profile;
    c->state = state;
    return LD_OK;
}

bool ld_conn_is_fresh(const struct ld_conn *c)
{
    return c->phase == LD_PHASE_OPEN && !c->doom && !c->consumed && !c->wrote &&
           ld_conn_unread(c) == 0 && !c->parked && c->waiter == 0 &&
           (c->flags & LD_OPENS) && c->wait >= LD_WAIT_FRAME &&
           c->wait <= LD_WAIT_PIECE;
}

/* conn_drain.c -- who waits for another connection's output to drain; see
 * conn.h.
 *
 * A connection keeps the handles of its dependents: connections that relay to
 * it, and parked coroutines.  When its output is at the low watermark, and
 * when it ends, those that relay are tried again, and the others go on once
 * nothing is left.  Nobody is called here: all are queued.
 */
#include <stdlib.h>

#include "conn_read.h"

enum { DEPENDENTS_MAX = 4096 };

static bool relays_to(const struct ld_conn *w, const struct ld_conn *c)
{
    return w->wait >= LD_WAIT_RELAY && w->await->sink == ld_conn_handle(c);
}

/* Is there still what D stands for? */
static bool depends(const struct ld_dependent *d, const struct ld_conn *c)
{
    const struct ld_conn *w = ld_conn_find(c->pool, d->handle);

    return w && (d->parked ? w->parked == LD_PARKED : relays_to(w, c));
}

static void forget_former(struct ld_conn *c)
{
    struct ld_extra *x = c->extra;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < x->dependent_count; i++)
        if (depends(&x->dependents[i], c))
            x->dependents[kept++] = x->dependents[i];
    x->dependent_count = kept;
}

static enum ld_status make_room(struct ld_conn *c)
{
    struct ld_extra *x = c->extra;
    struct ld_dependent *grown;
    uint32_t cap = x->dependent_cap ? 2 * x->dependent_cap : 4;

    if (x->dependent_count < x->dependent_cap)
        return LD_OK;
    forget_former(c);
    if (x->dependent_count < x->dependent_cap)
        return LD_OK;
    if (cap > DEPENDENTS_MAX)
        return LD_LIMIT;
    grown = realloc(x->dependents, cap * sizeof(*grown));
    if (!grown)
        return LD_NOMEM;
    x->dependents = grown;
    x->dependent_cap = cap;
    return LD_OK;
}

/* From now on HANDLE, which relays to C or has a parked coroutine, hears of
 * C's output. */
enum ld_status ld_conn_depend(struct ld_conn *c, int64_t handle, bool parked)
{
    struct ld_extra *x = ld_conn_extra(c);
    enum ld_status st;

    if (!x)
        return LD_NOMEM;
    for (uint32_t i = 0; i < x->dependent_count; i++)
        if (x->dependents[i].handle == handle &&
            x->dependents[i].parked == parked)
            return LD_OK;
    st = make_room(c);
    if (st)
        return st;
    x->dependents[x->dependent_count++] =
        (struct ld_dependent){.handle = handle, .parked = parked};
    c->depended = true;
    return LD_OK;
}

/* Has W passed its end on?  Then it is done when all output has left: to try it
 * before would be in vain, and two who try each other never come to rest. */
static bool has_ended(const struct ld_conn *w)
{
    return w->wait == LD_WAIT_PIPE && w->eof && ld_conn_unread(w) == 0;
}

/* One that relays is tried again if it is held, or C has ended. */
static void tell_relay(const struct ld_conn *c, struct ld_conn *w, bool ended)
{
    if (ended) {
        w->held = true;
        w->await->lost = c->doom ? c->doom : LD_CLOSED;
    }
    if (w->held && (ended || !c->out || !has_ended(w)))
        ld_conn_queue(w);
}

/* C's output has drained, in part, or C has ended. */
void ld_conn_tell_dependents(struct ld_conn *c)
{
    bool ended = c->doom || c->phase != LD_PHASE_OPEN;
    struct ld_extra *x = c->extra;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < x->dependent_count; i++) {
        struct ld_dependent d = x->dependents[i];
        struct ld_conn *w = ld_conn_find(c->pool, d.handle);

        if (!depends(&d, c))
            continue;
        if (!d.parked)
            tell_relay(c, w, ended);
        else if (ended || !c->out)
            ld_conn_unpark(w);
        if (!ended && (!d.parked || c->out))
            x->dependents[kept++] = d;
    }
    x->dependent_count = kept;
    c->depended = kept > 0;
}

enum ld_status ld_conn_drained(struct ld_conn *c)
{
    const struct ld_conn *running = c->pool->running;
    enum ld_status st;

    if (c->doom)
        return (enum ld_status)c->doom;
    if (c->phase != LD_PHASE_OPEN)
        return LD_CLOSED;
    if (!ld_conn_has_output(c))
        return LD_OK;
    if (!running || c->pool->in_hook)
        return LD_HOOK;
    c->pool->result->size = 0;
    st = ld_conn_depend(c, ld_conn_handle(running), true);
    return st ? st : LD_BUSY;
}

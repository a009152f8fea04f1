/* conn_news.c -- messages, parking and ownership of connections; see conn.h. */
#include <errno.h>
#include <stdlib.h>

#include "conn_parts.h"

struct ld_extra *ld_conn_extra(struct ld_conn *c)
{
    if (!c->extra)
        c->extra = calloc(1, sizeof(*c->extra));
    return c->extra;
}

struct ld_conn *ld_conn_new_passive(struct ld_pool *pool, struct ld_link link,
                                    const struct ld_profile *profile)
{
    struct ld_conn *c = ld_conn_new(pool, link, profile);

    if (!c)
        return NULL;
    c->passive = true;
    c->wait = LD_WAIT_NONE;
    ld_conn_queue(c);
    return c;
}

struct ld_conn *ld_conn_new_task(struct ld_pool *pool,
                                 const struct ld_profile *profile)
{
    struct ld_link none = {.transport = &ld_nowhere, .fd = -1};
    struct ld_conn *c = ld_conn_new(pool, none, profile);

    if (!c)
        return NULL;
    c->task = c->shut = true;
    pool->opened--; /* it is no connection */
    ld_conn_queue(c);
    return c;
}

static void leave_parent(struct ld_extra *x)
{
    if (!x->parent)
        return;
    *x->sibling_of = x->sibling;
    if (x->sibling)
        x->sibling->extra->sibling_of = x->sibling_of;
    x->parent = x->sibling = NULL;
}

enum ld_status ld_conn_adopt(struct ld_conn *parent, struct ld_conn *c)
{
    struct ld_extra *x = ld_conn_extra(c), *px;

    px = parent && x ? ld_conn_extra(parent) : NULL;
    if (!x || (parent && !px))
        return LD_NOMEM;
    leave_parent(x);
    if (!parent)
        return LD_OK;
    x->parent = parent;
    x->sibling = px->children;
    x->sibling_of = &px->children;
    if (x->sibling)
        x->sibling->extra->sibling_of = &x->sibling;
    px->children = c;
    return LD_OK;
}

/* C ends: it is nobody's child, and its children, if any are left, are
 * orphans. */
void ld_conn_leave_family(struct ld_conn *c)
{
    struct ld_extra *x = c->extra;

    if (!x)
        return;
    if (x->meter.source)
        ld_conn_unmeter(c);
    leave_parent(x);
    while (x->children)
        leave_parent(x->children->extra);
    free(x->override);
    free(x->origin);
    free(x->dependents);
    free(x);
    c->extra = NULL;
}

void ld_conn_tell(struct ld_conn *c, unsigned news)
{
    c->news |= (uint8_t)news;
    if (c->pool->running != c || c->pool->in_hook)
        ld_conn_queue(c);
}

void ld_conn_unpark(struct ld_conn *c)
{
    if (c->parked == LD_PARKED)
        ld_conn_tell(c, LD_NEWS_UNPARKED);
}

struct ld_conn *ld_conn_waiter(struct ld_conn *c)
{
    struct ld_conn *w;

    if (c->waiter == 0)
        return c;
    w = ld_conn_find(c->pool, c->waiter);
    return w && w->epoch == c->waiter_epoch ? w : NULL;
}

/* Before it has begun C hears nothing, nor when it is to end. */
static bool hears(const struct ld_conn *c)
{
    return (c->news & LD_NEWS_MAIL) && c->wait != LD_WAIT_START && !c->doom;
}

/* False when C has ended by it, as with the next one. */
static bool hear(struct ld_conn *c)
{
    uint32_t generation = c->generation;

    if (!hears(c))
        return true;
    c->news &= (uint8_t)~LD_NEWS_MAIL;
    c->pool->hooks.news(c->pool->hooks.ctx, c);
    return c->generation == generation && c->phase == LD_PHASE_OPEN;
}

static bool go_on(struct ld_conn *c)
{
    uint32_t generation = c->generation;

    if (!(c->news & LD_NEWS_UNPARKED))
        return true;
    c->news &= (uint8_t)~LD_NEWS_UNPARKED;
    if (c->parked)
        c->pool->hooks.go_on(c->pool->hooks.ctx, c);
    return c->generation == generation && c->phase == LD_PHASE_OPEN;
}

/* Tell C, whose coroutine does not run, its news; and what came of its going
 * on, before it does so again.  False when it has ended by it. */
bool ld_conn_attend(struct ld_conn *c)
{
    if (!hear(c) || !go_on(c) || !hear(c))
        return false;
    if (hears(c) || (c->news & LD_NEWS_UNPARKED))
        ld_conn_queue(c);
    return true;
}

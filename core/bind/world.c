/* world.c -- the workers of a test's world; see world.h. */
#include "world.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "../bus.h"

bool ld_message_put(struct ld_message_queue *q, uint32_t incarnation,
                    const void *p, size_t n)
{
    struct ld_message *m = malloc(sizeof(*m) + n);

    if (!m)
        return false;
    m->next = NULL;
    m->incarnation = incarnation;
    m->size = n;
    memcpy(m->bytes, p, n);
    if (q->first)
        q->last->next = m;
    else
        q->first = m;
    q->last = m;
    q->bytes += n;
    return true;
}

struct ld_message *ld_message_take(struct ld_message_queue *q)
{
    struct ld_message *m = q->first;

    if (!m)
        return NULL;
    q->first = m->next;
    q->bytes -= m->size;
    return m;
}

void ld_message_clear(struct ld_message_queue *q)
{
    struct ld_message *m;

    while ((m = ld_message_take(q)))
        free(m);
}

struct ld_world_slot *ld_world_slot(struct ld_world *w, uint32_t slot)
{
    return slot - 1 < w->count && w->slots[slot - 1].vm ? &w->slots[slot - 1]
                                                        : NULL;
}

/* As ld_bus_post() does. */
static bool post(void *ctx, uint32_t slot, const void *p, size_t n)
{
    const struct ld_world_slot *s = ctx;
    struct ld_world_slot *to = ld_world_slot(s->world, slot);
    struct ld_message_queue *q;

    if (!to || to == s)
        return false;
    q = &to->from[s->slot - 1];
    return q->bytes + n <= LD_BUS_QUEUE &&
           ld_message_put(q, s->incarnation, p, n);
}

static void ask(void *ctx, const void *p, size_t n)
{
    struct ld_world_slot *s = ctx;

    ld_message_put(&s->asks, s->incarnation, p, n);
}

static const struct ld_bus_ops ops = {post, ask};

/* Logs come as loud as those of the first worker, at the same time. */
void ld_world_seat(struct ld_world_slot *s, struct ld_vm *vm)
{
    s->vm = vm;
    s->incarnation++;
    vm->pool->now = s->world->slots[0].vm->pool->now;
    vm->log->level = s->world->slots[0].vm->log->level;
    if (s->world->count == 1)
        return; /* a single process */
    vm->bus = &ops;
    vm->bus_ctx = s;
    vm->slot = s->slot;
    vm->incarnation = s->incarnation;
    vm->slots = s->world->count;
}

/* The arbiter's sender. */
static void order(void *ctx, uint32_t slot, const void *p, size_t n)
{
    struct ld_world_slot *to = ld_world_slot(ctx, slot);

    if (to)
        ld_message_put(&to->orders, 0, p, n);
}

struct ld_world *ld_world_new(struct ld_vm *vm, uint32_t count)
{
    struct ld_world *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->arbiter = ld_arbiter_new(count, order, w);
    if (!w->arbiter) {
        free(w);
        return NULL;
    }
    w->count = count;
    for (uint32_t i = 0; i < count; i++) {
        w->slots[i].world = w;
        w->slots[i].slot = i + 1;
        w->slots[i].serve_ref = LUA_NOREF;
    }
    ld_world_seat(&w->slots[0], vm);
    ld_arbiter_enter(w->arbiter, 1, w->slots[0].incarnation);
    ld_arbiter_up(w->arbiter, 1);
    return w;
}

void ld_world_add_peer(struct ld_world *w, struct ld_peer *p)
{
    struct ld_peer **at = &w->peers;

    while (*at)
        at = &(*at)->next;
    p->at = at;
    p->next = NULL;
    *at = p;
}

void ld_world_kill(struct ld_world_slot *s)
{
    lua_State *L = s->vm->L;

    for (struct ld_peer *p = s->world->peers; p; p = p->next)
        if (p->vm == s->vm)
            ld_peer_cut(p);
    s->vm = NULL;
    ld_message_clear(&s->orders);
    ld_message_clear(&s->asks);
    for (uint32_t i = 0; i < s->world->count; i++)
        ld_message_clear(&s->from[i]);
    lua_close(L);
    ld_arbiter_down(s->world->arbiter, s->slot);
}

static void leave_home(struct ld_vm *vm)
{
    vm->bus = NULL;
    vm->bus_ctx = NULL;
    vm->slot = vm->incarnation = vm->slots = 0;
}

void ld_world_free(struct ld_world *w, bool home)
{
    for (uint32_t i = 1; i < w->count; i++)
        if (w->slots[i].vm)
            ld_world_kill(&w->slots[i]);
    if (home)
        leave_home(w->slots[0].vm);
    ld_message_clear(&w->slots[0].orders);
    ld_message_clear(&w->slots[0].asks);
    for (uint32_t i = 0; i < w->count; i++)
        ld_message_clear(&w->slots[0].from[i]);
    while (w->peers) {
        struct ld_peer *p = w->peers;

        w->peers = p->next;
        p->at = NULL;
    }
    ld_arbiter_free(w->arbiter);
    free(w);
}

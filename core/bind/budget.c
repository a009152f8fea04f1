/* budget.c -- see budget.h. */
#include "budget.h"

#include <malloc.h>

#include "alloc.h"
#include "watchdog.h"

static const double PERIOD = 0.5; /* seconds between looks */
static const double SOON = 0.05;  /* the same, while memory is scarce */
static const double COLLECT =
    0.01; /* seconds of collecting garbage each time */

enum {
    PAUSE = 200, /* percent, LuaJIT's: a cycle begins at twice the heap */
    PAUSE_SCARCE = 110, /* above half of the limit */
    STEP = 1000         /* of LUA_GCSTEP: some 100 us */
};

/* What C holds for connections. */
static size_t weight(const struct ld_conn *c)
{
    return ld_conn_unsent(c) + ld_conn_unread(c);
}

/* A host's memory is its own: only what is ours counts. */
static double used_in_host(const struct ld_vm *vm)
{
    const struct ld_pool *pool = vm->pool;
    double bytes = (double)ld_alloc_used(vm->alloc);

    for (uint32_t i = 0; i < ld_pool_slots(pool); i++) {
        const struct ld_conn *c = ld_pool_at(pool, i);

        if (c->phase != LD_PHASE_FREE)
            bytes += (double)weight(c);
    }
    return bytes;
}

double ld_budget_used(const struct ld_vm *vm)
{
    struct mallinfo2 info;

    if (vm->in_host)
        return used_in_host(vm);
    info = mallinfo2();
    return (double)info.uordblks + (double)info.hblkhd;
}

static struct ld_conn *greediest(struct ld_pool *pool)
{
    struct ld_conn *most = NULL;

    for (uint32_t i = 0; i < ld_pool_slots(pool); i++) {
        struct ld_conn *c = ld_pool_at(pool, i);

        if (c->phase == LD_PHASE_OPEN && !c->doom &&
            weight(c) > LD_HIGH_WATER && (!most || weight(c) > weight(most)))
            most = c;
    }
    return most;
}

void ld_budget_collect(struct ld_vm *vm)
{
    double until = ld_monotonic() + COLLECT;

    while (lua_gc(vm->L, LUA_GCSTEP, STEP) == 0 && ld_monotonic() < until)
        ;
}

static void end_greedy(struct ld_vm *vm, double excess)
{
    struct ld_conn *c;

    while (excess > 0 && (c = greediest(vm->pool))) {
        ld_log(vm->log, LD_WARN, "connection ended for memory",
               "conn=%u.%u bytes=%zu", c->slot, c->generation, weight(c));
        excess -= (double)weight(c);
        ld_conn_doom(c, LD_LIMIT, true);
        vm->ended_for_memory++;
    }
}

void ld_budget_check(struct ld_vm *vm)
{
    bool starved = vm->pool->starved;
    double used;

    if (vm->memory_limit <= 0)
        return;
    used = ld_budget_used(vm);
    if (used > vm->memory_limit) {
        ld_budget_collect(vm);
        used = ld_budget_used(vm);
    }
    vm->pool->starved = used > vm->memory_limit;
    if (vm->pool->starved && !starved)
        ld_log(vm->log, LD_WARN, "memory limit reached",
               "bytes=%.0f limit=%.0f", used, vm->memory_limit);
    if (vm->pool->starved)
        end_greedy(vm, used - vm->memory_limit);
}

/* Lua's heap is near its limit: what is garbage is to go. */
static void tend_heap(struct ld_vm *vm)
{
    double used = (double)ld_alloc_used(vm->alloc);

    lua_gc(vm->L, LUA_GCSETPAUSE,
           used > vm->memory_limit / 2 ? PAUSE_SCARCE : PAUSE);
    if (used > vm->memory_limit * 7 / 8)
        ld_budget_collect(vm);
    vm->memory_tick.repeat = used > vm->memory_limit * 7 / 8 ? SOON : PERIOD;
}

static void on_tick(struct ev_loop *loop, ev_timer *t, int events)
{
    struct ld_vm *vm = t->data;

    (void)events;
    ld_budget_check(vm);
    if (vm->alloc)
        tend_heap(vm);
    ev_timer_again(loop, t);
}

void ld_budget_stop(struct ld_vm *vm)
{
    if (!vm->worker || !ev_is_active(&vm->memory_tick))
        return;
    ev_ref(vm->worker->loop);
    ev_timer_stop(vm->worker->loop, &vm->memory_tick);
}

static void on_over(void)
{
    ld_watchdog_strike(LD_BUDGET_SPENT);
}

void ld_budget_limit(struct ld_vm *vm, double bytes)
{
    vm->memory_limit = bytes;
    if (vm->alloc)
        ld_alloc_limit(vm->alloc, vm->watched ? (size_t)bytes : 0, on_over);
    ld_budget_stop(vm);
    if (bytes <= 0) {
        vm->pool->starved = false;
        return;
    }
    ev_timer_init(&vm->memory_tick, on_tick, PERIOD, PERIOD);
    vm->memory_tick.data = vm;
    ev_timer_start(vm->worker->loop, &vm->memory_tick);
    ev_unref(vm->worker->loop);
}

void ld_budget_begin(struct ld_vm *vm)
{
    if (vm->alloc)
        ld_alloc_begin(vm->alloc);
}

bool ld_budget_end(struct ld_vm *vm)
{
    if (!vm->alloc || !ld_alloc_end(vm->alloc))
        return false;
    vm->ended_for_memory++;
    return true;
}

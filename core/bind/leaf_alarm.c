/* leaf_alarm.c -- moments at which Lua is called; see api.h.
 *
 * An id is slot and generation, like a connection's handle; an alarm that has
 * fired or was cancelled is free, and its id means nothing any more.
 */
#include <lauxlib.h>
#include <stdlib.h>

#include "vm.h"

enum { SLOT_BITS = 24, GENERATION_MASK = (1 << 28) - 1 };

static double id_of(const struct ld_alarm *a)
{
    return (double)((int64_t)a->generation << SLOT_BITS | a->slot);
}

static void give_back(struct ld_alarm *a)
{
    a->generation = (a->generation + 1) & GENERATION_MASK;
    if (a->generation == 0)
        a->generation = 1;
    a->next = a->vm->free_alarms;
    a->vm->free_alarms = a;
}

/* From the loop: no coroutine runs, and what is called may not wait. */
static void fire(struct ld_timer *t, double now)
{
    struct ld_alarm *a = (struct ld_alarm *)(void *)t;
    struct ld_vm *vm = a->vm;
    lua_State *L = vm->L;
    double id = id_of(a);

    (void)now;
    give_back(a);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->alarm_ref);
    lua_pushnumber(L, id);
    if (ld_vm_pcall(vm, L, 1, 0)) {
        ld_log(vm->log, LD_FAULT, "alarm failed", "error=\"%s\"",
               lua_tostring(L, -1));
        lua_pop(L, 1);
    }
}

static struct ld_alarm *add(struct ld_vm *vm)
{
    struct ld_alarm *a, **grown;

    if (vm->alarm_count == 1U << SLOT_BITS)
        return NULL;
    grown = realloc(vm->alarms, (vm->alarm_count + 1) * sizeof(a));
    if (!grown)
        return NULL;
    vm->alarms = grown;
    a = calloc(1, sizeof(*a));
    if (!a)
        return NULL;
    a->timer.fire = fire;
    a->vm = vm;
    a->generation = 1;
    a->slot = vm->alarm_count;
    vm->alarms[vm->alarm_count++] = a;
    return a;
}

static double leaf_alarm(struct ld_vm *vm, double seconds)
{
    struct ld_pool *pool = vm->pool;
    struct ld_alarm *a = vm->free_alarms;

    if (a)
        vm->free_alarms = a->next;
    else
        a = add(vm);
    if (!a)
        return 0;
    if (ld_timer_set(&pool->alarms, &a->timer, ld_pool_clock(pool) + seconds)) {
        give_back(a);
        return 0;
    }
    return id_of(a);
}

static void leaf_alarm_cancel(struct ld_vm *vm, double id)
{
    uint32_t slot = (uint32_t)((int64_t)id & ((1 << SLOT_BITS) - 1));
    struct ld_alarm *a = slot < vm->alarm_count ? vm->alarms[slot] : NULL;

    if (!a || id_of(a) != id || a->timer.index == 0)
        return;
    ld_timer_cancel(&vm->pool->alarms, &a->timer);
    give_back(a);
}

void ld_alarm_free_all(struct ld_vm *vm)
{
    for (uint32_t i = 0; i < vm->alarm_count; i++) {
        ld_timer_cancel(&vm->pool->alarms, &vm->alarms[i]->timer);
        free(vm->alarms[i]);
    }
    free(vm->alarms);
}

void ld_leaf_alarm(struct ld_api *api)
{
    api->alarm = leaf_alarm;
    api->alarm_cancel = leaf_alarm_cancel;
}

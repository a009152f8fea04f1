/* task_hooks.c -- runs the hooks of handlers for messages, timers and the end,
 * beside their coroutines.
 */
#include <lauxlib.h>
#include <string.h>

#include "native.h"
#include "task_parts.h"

/* Messages: Lua gives them to the hooks, which may have failed, or chosen a
 * state to be entered now: "failed", error, traceback; "moved", state, ... */
void ld_task_news(void *ctx, struct ld_conn *c)
{
    struct ld_vm *vm = ctx;
    lua_State *L = vm->L;
    int top = lua_gettop(L);
    const char *outcome;
    int failed;

    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->news_ref);
    ld_vm_push_conn(vm, c);
    ld_pool_run(vm->pool, c, true);
    failed = ld_task_call(L, 1);
    ld_pool_run(vm->pool, NULL, false);
    if (failed) { /* it went on after it was stopped for the first time */
        lua_pushliteral(L, "");
        lua_pushnil(L);
        ld_task_drop_thread(vm, c);
        ld_task_finish(vm, c);
        lua_settop(L, top);
        return;
    }
    outcome = lua_gettop(L) > top + 1 ? lua_tostring(L, top + 1) : NULL;
    if (outcome && strcmp(outcome, "failed") == 0) {
        lua_settop(L, top + 3);
        lua_remove(L, top + 1);
        lua_pushnil(L);
        ld_task_drop_thread(vm, c);
        ld_task_finish(vm, c);
    } else if (outcome && strcmp(outcome, "moved") == 0) {
        ld_task_drop_thread(vm, c);
        ld_task_prepare(vm, c, lua_gettop(L) - top - 1);
    }
    lua_settop(L, top);
}

/* What C made ends with it: upstreams are flushed first. */
static void end_children(struct ld_vm *vm, struct ld_conn *c)
{
    while (c->extra && c->extra->children) {
        struct ld_conn *child = c->extra->children;

        ld_conn_adopt(NULL, child);
        if (child->task)
            ld_task_abandon(vm, child);
        else if (child->phase == LD_PHASE_OPEN)
            ld_conn_finish(child);
    }
}

void ld_task_closed(void *ctx, struct ld_conn *c)
{
    struct ld_vm *vm = ctx;
    lua_State *L = vm->L;
    int top = lua_gettop(L);

    if ((ld_task_machine(c)->watches_end || c->entangled) && !vm->quiet) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, vm->closed_ref);
        ld_vm_push_conn(vm, c);
        if (ld_task_call(L, 1))
            ld_log(vm->log, LD_FAULT, "on_close failed", "error=\"%s\"",
                   lua_tostring(L, -1));
        lua_settop(L, top);
    }
    ld_native_closed(vm, c);
    end_children(vm, c);
    if (c->owner && lua_status(c->owner) != 0)
        ld_task_drop_thread(vm, c);
    ld_gateway_conn_closed(vm, c);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->conns_ref);
    lua_pushnil(L);
    lua_rawseti(L, -2, (int)c->slot + 1);
    lua_pop(L, 1);
}

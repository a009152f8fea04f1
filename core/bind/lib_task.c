/* lib_task.c -- the part of linedancer.core for tasks, and for who belongs to
 * whom.
 */
#include <lauxlib.h>

#include "lib_core.h"
#include "vm.h"

static struct ld_conn *check_conn(lua_State *L, int arg)
{
    struct ld_vm *vm = ld_vm_of(L);

    return ld_conn_find(vm->pool, (int64_t)luaL_checknumber(L, arg));
}

/* core.spawn(machine, parent, fn, ...) -> the task's table; it calls FN(...)
 * when the pool settles, and ends with PARENT (a handle; 0: with nobody). */
static int l_spawn(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_machine *m = lua_touserdata(L, 1);
    struct ld_conn *parent = check_conn(L, 2), *c;
    lua_State *outer = vm->L;
    int count = lua_gettop(L) - 2;

    luaL_argcheck(L, m, 1, "machine expected");
    luaL_checktype(L, 3, LUA_TFUNCTION);
    luaL_argcheck(L, parent || lua_tonumber(L, 2) == 0, 2,
                  "the connection has ended");
    c = ld_conn_new_task(vm->pool, &m->profile);
    if (!c)
        return luaL_error(L, "out of memory");
    vm->L = L;
    ld_vm_make_table(vm, c, m);
    ld_task_prepare(vm, c, count);
    if (parent && ld_conn_adopt(parent, c)) {
        ld_task_abandon(vm, c);
        vm->L = outer;
        return luaL_error(L, "out of memory");
    }
    ld_vm_push_conn(vm, c);
    vm->L = outer;
    return 1;
}

/* core.abandon(handle): the task goes no further. */
static int l_abandon(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_conn *c = check_conn(L, 1);
    lua_State *outer = vm->L;

    if (!c || c == vm->pool->running)
        return 0;
    vm->L = L;
    ld_task_abandon(vm, c);
    vm->L = outer;
    return 0;
}

/* core.adopt(handle, parent or nil) */
static int l_adopt(lua_State *L)
{
    struct ld_conn *c = check_conn(L, 1);
    struct ld_conn *parent = lua_isnoneornil(L, 2) ? NULL : check_conn(L, 2);

    if (c && ld_conn_adopt(parent, c))
        return luaL_error(L, "out of memory");
    return 0;
}

/* core.watch_stray(handle, on): have boot's `stray` called for a passive
 * connection when input or the end comes while nobody reads it. */
static int l_watch_stray(lua_State *L)
{
    struct ld_conn *c = check_conn(L, 1);

    if (c)
        c->stray = lua_toboolean(L, 2);
    return 0;
}

void ld_task_stray(void *ctx, struct ld_conn *c)
{
    struct ld_vm *vm = ctx;
    lua_State *L = vm->L;

    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->stray_ref);
    ld_vm_push_conn(vm, c);
    if (ld_vm_pcall(vm, L, 1, 0)) {
        ld_log(vm->log, LD_FAULT, "stray input", "error=\"%s\"",
               lua_tostring(L, -1));
        lua_pop(L, 1);
    }
}

static const luaL_Reg task[] = {{"spawn", l_spawn},
                                {"abandon", l_abandon},
                                {"adopt", l_adopt},
                                {"watch_stray", l_watch_stray},
                                {NULL, NULL}};

void ld_lib_task(lua_State *L)
{
    luaL_register(L, NULL, task);
}

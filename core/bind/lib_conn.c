/* lib_conn.c -- the part of linedancer.core about connections as a whole: which
 * there are, how they are, and which version they have.
 */
#include <lauxlib.h>

#include "vm.h"

/* core.rehouse(handle, machine, former) -> true, or nil when memory is out:
 * the connection, between two states, is of MACHINE, whose state I was
 * FORMER[I] of the machine it had, or 0. */
static int l_rehouse(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_conn *c = ld_conn_find(vm->pool, (int64_t)luaL_checknumber(L, 1));
    struct ld_machine *m = lua_touserdata(L, 2);
    uint32_t count = m ? m->profile.state_count : 0;
    uint16_t *former;

    luaL_argcheck(L, m, 2, "machine expected");
    luaL_checktype(L, 3, LUA_TTABLE);
    if (!c)
        return 0;
    former = lua_newuserdata(L, (count + 1) * sizeof(*former));
    for (uint32_t i = 0; i < count; i++) {
        lua_rawgeti(L, 3, (int)i + 1);
        former[i] = (uint16_t)(lua_tointeger(L, -1) - 1); /* 0: LD_NO_STATE */
        lua_pop(L, 1);
    }
    if (ld_conn_rehouse(c, &m->profile, former))
        return 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->conns_ref);
    lua_rawgeti(L, -1, (int)c->slot + 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, m->class_ref);
    lua_setmetatable(L, -2);
    lua_pushboolean(L, 1);
    return 1;
}

/* core.is_fresh(handle): see ld_conn_is_fresh() */
static int l_is_fresh(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_conn *c = ld_conn_find(vm->pool, (int64_t)luaL_checknumber(L, 1));

    lua_pushboolean(L, c && ld_conn_is_fresh(c));
    return 1;
}

/* core.made(machine) -> connections that have been accepted for it */
static int l_made(lua_State *L)
{
    const struct ld_machine *m = lua_touserdata(L, 1);

    luaL_argcheck(L, m, 1, "machine expected");
    lua_pushnumber(L, m->made);
    return 1;
}

/* core.times(handle) -> seconds since it began, since it entered its state, and
 * since the last byte came; nil when it is gone */
static int l_times(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_conn *c = ld_conn_find(vm->pool, (int64_t)luaL_checknumber(L, 1));

    if (!c)
        return 0;
    lua_pushnumber(L, vm->pool->now - c->began);
    lua_pushnumber(L, vm->pool->now - c->entered);
    lua_pushnumber(L, vm->pool->now - c->heard);
    return 3;
}

/* core.users(machine) -> connections of it that are not gone */
static int l_users(lua_State *L)
{
    struct ld_pool *pool = ld_vm_of(L)->pool;
    const struct ld_machine *m = lua_touserdata(L, 1);
    int n = 0;

    for (uint32_t i = 0; i < ld_pool_slots(pool); i++) {
        const struct ld_conn *c = ld_pool_at(pool, i);

        n += c->phase != LD_PHASE_FREE && c->profile == &m->profile;
    }
    lua_pushinteger(L, n);
    return 1;
}

/* core.conn_of(handle) -> the conn's table, or nil once it is gone. */
static int l_conn_of(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_conn *c = ld_conn_find(vm->pool, (int64_t)luaL_checknumber(L, 1));

    if (!c)
        return 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->conns_ref);
    lua_rawgeti(L, -1, (int)c->slot + 1);
    return 1;
}

/* core.conns() -> an array of the conns with a handler that are open. */
static int l_conns(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_pool *pool = vm->pool;
    int n = 0;

    lua_newtable(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->conns_ref);
    for (uint32_t i = 0; i < ld_pool_slots(pool); i++) {
        const struct ld_conn *c = ld_pool_at(pool, i);

        if (c->phase != LD_PHASE_OPEN || c->task || c->passive)
            continue;
        lua_rawgeti(L, -1, (int)i + 1);
        lua_rawseti(L, -3, ++n);
    }
    lua_pop(L, 1);
    return 1;
}

/* core.is_idle(handle): does it wait where it has read and written nothing? */
static int l_is_idle(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_conn *c = ld_conn_find(vm->pool, (int64_t)luaL_checknumber(L, 1));

    lua_pushboolean(L, c && ld_conn_unread(c) == 0 && ld_conn_unsent(c) == 0 &&
                           (c->flags & LD_OPENS) && c->wait != LD_WAIT_NONE &&
                           c->wait != LD_WAIT_START);
    return 1;
}

/* core.state_of(handle) -> index of its state, from 1; nil before the first */
static int l_state_of(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_conn *c = ld_conn_find(vm->pool, (int64_t)luaL_checknumber(L, 1));

    if (!c || c->state == LD_NO_STATE)
        return 0;
    lua_pushinteger(L, c->state + 1);
    return 1;
}

static const luaL_Reg conns[] = {
    {"conn_of", l_conn_of}, {"conns", l_conns},
    {"is_idle", l_is_idle}, {"state_of", l_state_of},
    {"rehouse", l_rehouse}, {"is_fresh", l_is_fresh},
    {"users", l_users},     {"made", l_made},
    {"times", l_times},     {NULL, NULL}};

void ld_lib_conn(lua_State *L)
{
    luaL_register(L, NULL, conns);
}

/* lib_limits.c -- the part of linedancer.core about limits of the whole worker,
 * and what has been met with them.
 */
#include <lauxlib.h>

#include "alloc.h"
#include "budget.h"
#include "gateway.h"
#include "lib_core.h"

static bool limits_anything(const struct ld_source_limits *l)
{
    return l->connections > 0 || l->rate > 0 || l->bytes > 0;
}

/* core.limit_sources{ connections=, rate=, bytes= (a second), v4=, v6= (bits)
 * }: see source.h; nil or 0 is no limit. */
static int l_limit_sources(lua_State *L)
{
    struct ld_vm *vm = ld_gateway_vm(L);
    struct ld_source_limits limits = {
        .connections = (uint32_t)ld_lib_number(L, 1, "connections", 0),
        .rate = ld_lib_number(L, 1, "rate", 0),
        .bytes = ld_lib_number(L, 1, "bytes", 0),
        .v4 = (uint8_t)ld_lib_number(L, 1, "v4", 32),
        .v6 = (uint8_t)ld_lib_number(L, 1, "v6", 64)};

    if (!vm->pool->sources && !limits_anything(&limits))
        return 0;
    if (!vm->pool->sources)
        vm->pool->sources = ld_sources_new(vm->secret[0]);
    if (!vm->pool->sources)
        return luaL_error(L, "out of memory");
    ld_sources_limit(vm->pool->sources, &limits);
    return 0;
}

static void set(lua_State *L, const char *key, double value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, key);
}

/* core.met() -> how often each limit has been met, by name */
static int l_met(lua_State *L)
{
    const struct ld_vm *vm = ld_gateway_vm(L);

    lua_newtable(L);
    set(L, "per_source.connections", vm->refused[LD_SOURCE_CONNECTIONS]);
    set(L, "per_source.rate", vm->refused[LD_SOURCE_RATE]);
    set(L, "per_source.bytes", (double)vm->pool->throttled);
    set(L, "memory", vm->ended_for_memory);
    set(L, "handshake", vm->failed_handshakes);
    set(L, "connections", vm->times_full);
    return 1;
}

/* core.used() -> { memory =, lua =, bytes; sources =, known now } */
static int l_used(lua_State *L)
{
    const struct ld_vm *vm = ld_gateway_vm(L);

    lua_newtable(L);
    set(L, "memory", ld_budget_used(ld_vm_of(L)));
    set(L, "lua", vm->alloc ? (double)ld_alloc_used(vm->alloc) : 0);
    set(L, "sources",
        vm->pool->sources ? ld_sources_count(vm->pool->sources) : 0);
    return 1;
}

/* core.late(handle) -> which of its deadlines has passed: "stall", "lifetime",
 * "total" or "idle" */
static int l_late(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_conn *c = ld_conn_find(vm->pool, (int64_t)luaL_checknumber(L, 1));

    if (!c || c->state == LD_NO_STATE || c->profile->state_count == 0)
        return 0;
    lua_pushstring(L, ld_conn_late(c));
    return 1;
}

static const luaL_Reg functions[] = {{"limit_sources", l_limit_sources},
                                     {"met", l_met},
                                     {"used", l_used},
                                     {"late", l_late},
                                     {NULL, NULL}};

void ld_lib_limits(lua_State *L)
{
    luaL_register(L, NULL, functions);
}

/* lib_bus.c -- the part of linedancer.core through which workers talk. */
#include <lauxlib.h>

#include "gateway.h"
#include "vm.h"

/* core.worker() -> slot, incarnation, slots; zeros in a single process */
static int l_worker(lua_State *L)
{
    const struct ld_vm *vm = ld_vm_of(L);

    lua_pushinteger(L, (lua_Integer)vm->slot);
    lua_pushinteger(L, (lua_Integer)vm->incarnation);
    lua_pushinteger(L, (lua_Integer)vm->slots);
    return 3;
}

/* core.post(slot, bytes) -> true | nil: no such worker, or too much queued */
static int l_post(lua_State *L)
{
    const struct ld_vm *vm = ld_vm_of(L);
    lua_Number slot = luaL_checknumber(L, 1);
    size_t len;
    const char *p = luaL_checklstring(L, 2, &len);

    if (!vm->bus || !(slot >= 1 && slot <= vm->slots) ||
        !vm->bus->post(vm->bus_ctx, (uint32_t)slot, p, len))
        return 0;
    lua_pushboolean(L, 1);
    return 1;
}

/* core.ask(bytes): a message to the supervisor */
static int l_ask(lua_State *L)
{
    const struct ld_vm *vm = ld_vm_of(L);
    size_t len;
    const char *p = luaL_checklstring(L, 1, &len);

    luaL_argcheck(L, len > 0 && len <= LD_CONTROL_MAX, 1, "too long, or empty");
    if (!vm->bus)
        return luaL_error(L, "there is no supervisor");
    vm->bus->ask(vm->bus_ctx, p, len);
    return 0;
}

/* core.on_bus(message, control): message(slot, incarnation, bytes) takes what
 * other workers post, control(bytes) what the supervisor says. */
static int l_on_bus(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    int *refs[] = {&vm->bus_ref, &vm->control_ref};

    for (int i = 0; i < 2; i++) {
        luaL_checktype(L, i + 1, LUA_TFUNCTION);
        luaL_unref(L, LUA_REGISTRYINDEX, *refs[i]);
        lua_pushvalue(L, i + 1);
        *refs[i] = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    return 0;
}

/* Call the function below COUNT arguments. */
static void call(struct ld_vm *vm, int count)
{
    if (ld_vm_pcall(vm, vm->L, count, 0)) {
        ld_log(vm->log, LD_FAULT, "message failed", "error=\"%s\"",
               lua_tostring(vm->L, -1));
        lua_pop(vm->L, 1);
    }
}

void ld_bus_to_lua(struct ld_vm *vm, uint32_t slot, uint32_t incarnation,
                   const void *p, size_t n)
{
    lua_State *L = vm->L;

    if (vm->bus_ref == LUA_NOREF)
        return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->bus_ref);
    lua_pushinteger(L, (lua_Integer)slot);
    lua_pushinteger(L, (lua_Integer)incarnation);
    lua_pushlstring(L, p, n);
    call(vm, 3);
}

void ld_control_to_lua(struct ld_vm *vm, const void *p, size_t n)
{
    lua_State *L = vm->L;

    if (vm->control_ref == LUA_NOREF)
        return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->control_ref);
    lua_pushlstring(L, p, n);
    call(vm, 1);
}

static const luaL_Reg bus[] = {{"worker", l_worker},
                               {"post", l_post},
                               {"ask", l_ask},
                               {"on_bus", l_on_bus},
                               {NULL, NULL}};

void ld_lib_bus(lua_State *L)
{
    luaL_register(L, NULL, bus);
}

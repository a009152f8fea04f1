/* errand.c -- see errand.h. */
#include "errand.h"

#include <lauxlib.h>

void ld_errand_begin(lua_State *L, struct ld_errand *e, int fn)
{
    lua_pushvalue(L, -1);
    e->self_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, fn);
    e->done_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

void ld_errand_forget(struct ld_errand *e)
{
    luaL_unref(e->vm->L, LUA_REGISTRYINDEX, e->done_ref);
    luaL_unref(e->vm->L, LUA_REGISTRYINDEX, e->self_ref);
}

void ld_errand_push(struct ld_errand *e)
{
    lua_rawgeti(e->vm->L, LUA_REGISTRYINDEX, e->done_ref);
}

void ld_errand_tell(struct ld_errand *e, int count, const char *what)
{
    struct ld_vm *vm = e->vm;

    ld_errand_forget(e);
    if (ld_vm_pcall(vm, vm->L, count, 0)) {
        ld_log(vm->log, LD_FAULT, what, "error=\"%s\"",
               lua_tostring(vm->L, -1));
        lua_pop(vm->L, 1);
    }
}

int ld_errand_failure(lua_State *L, enum ld_status st, const char *message)
{
    lua_pushnil(L);
    lua_pushstring(L, ld_strstatus(st));
    lua_pushstring(L, message);
    return 3;
}

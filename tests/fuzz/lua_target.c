/* lua_target.c -- fuzzes a function of Lua: LUA_TARGET of LUA_SCRIPT, which
 * come from the build: target x_y is function y of the script x.lua.
 *
 * The script returns a table of functions that take the input as a string and
 * raise an error where something is wrong.  Where the interpreter goes is told
 * to libFuzzer by a hook on each line, so it can steer; the JIT is off.
 * Runs in the source directory, where the modules are.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "bind/lib_core.h"

#ifndef LUA_TARGET
#define LUA_SCRIPT "tests/fuzz/rtmp.lua"
#define LUA_TARGET "chunk"
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINES = 1 << 16 };

__attribute__((
    used, section("__libfuzzer_extra_counters"))) static uint8_t lines[LINES];

/* A line of a function, and the one before it: an edge. */
static void on_line(lua_State *L, lua_Debug *at)
{
    static uint32_t before;
    uint32_t here;

    lua_getinfo(L, "S", at);
    here = (uint32_t)at->currentline * 31U + (uint32_t)at->linedefined * 7919U +
           (uint32_t)(uintptr_t)at->source * 2654435761U;
    lines[(here ^ before >> 1) % LINES]++;
    before = here;
}

static _Noreturn void give_up(lua_State *L)
{
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    abort();
}

/* Errors may be objects: tostring says what they are. */
static int traceback(lua_State *L)
{
    lua_getglobal(L, "tostring");
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    luaL_traceback(L, L, lua_tostring(L, -1), 1);
    return 1;
}

/* The function, below it the handler of errors. */
static lua_State *begin(void)
{
    lua_State *L = luaL_newstate();

    luaL_openlibs(L);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    lua_pushcfunction(L, luaopen_linedancer_core);
    lua_setfield(L, -2, "linedancer.core");
    lua_pushliteral(L, "./?.lua;./?/init.lua;./lua/?.lua;./lua/?/init.lua");
    lua_setfield(L, -3, "path");
    lua_settop(L, 0);
    if (luaL_dostring(L, "require('jit').off()") || luaL_dofile(L, LUA_SCRIPT))
        give_up(L);
    lua_getfield(L, -1, LUA_TARGET);
    lua_pushcfunction(L, traceback);
    lua_replace(L, 1);
    lua_sethook(L, on_line, LUA_MASKLINE, 0);
    return L;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static lua_State *L;

    if (!L)
        L = begin();
    lua_pushvalue(L, 2);
    lua_pushlstring(L, (const char *)data, size);
    if (lua_pcall(L, 1, 0, 1))
        give_up(L);
    return 0;
}

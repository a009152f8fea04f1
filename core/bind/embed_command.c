/* embed_command.c -- the command line, for the program and for hosts that are a
 * linedancer themselves.
 */
#include <lauxlib.h>

#include "gateway_parts.h"

/* cli.main(argv) -> exit status */
static int call_command(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "linedancer.main");
    lua_call(L, 1, 1);
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int traceback(lua_State *L)
{
    luaL_traceback(L, L, lua_tostring(L, 1), 1);
    return 1;
}

LD_PUBLIC int ld_gateway_command(struct ld_gateway *g, int argc, char **argv)
{
    lua_State *L;
    int status = 1;

    if (ld_embed_free(g) || argc < 0 || (argc > 0 && !argv))
        return status;
    L = g->L;
    lua_settop(L, 0);
    lua_pushcfunction(L, traceback);
    lua_pushcfunction(L, call_command);
    lua_createtable(L, argc, 0);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i] ? argv[i] : "");
        lua_rawseti(L, -2, i + 1);
    }
    g->mode = LD_MODE_COMMAND;
    g->stage = LD_STAGE_SERVING;
    g->inside++;
    if (lua_pcall(L, 1, 1, 1))
        ld_log(&g->log, LD_FAULT, "command failed", "error=\"%s\"",
               lua_tostring(L, -1));
    else
        status = (int)lua_tointeger(L, -1);
    lua_settop(L, 0);
    g->inside--;
    if (!g->vm->stopping)
        g->stage = LD_STAGE_NEW;
    else if (g->desk)
        ld_embed_finish(g);
    else
        g->stage = LD_STAGE_STOPPED;
    return status;
}

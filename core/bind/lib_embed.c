/* lib_embed.c -- the part of linedancer.core for gateways in other programs: a
 * host's, or a script that plain luajit runs.
 */
#include <dlfcn.h>
#include <lauxlib.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib_core.h"
#include "native.h"

/* The directory of the file that this code was loaded from. */
static bool find_own_directory(char dir[PATH_MAX])
{
    Dl_info info;
    char *slash;

    if (!dladdr((void *)ld_version, &info) || !info.dli_fname)
        return false;
    /* A program is named as it was called. */
    if (!strchr(info.dli_fname, '/') || !realpath(info.dli_fname, dir))
        if (!realpath("/proc/self/exe", dir))
            return false;
    slash = strrchr(dir, '/');
    if (slash)
        *slash = 0;
    return slash != NULL;
}

/* core.data() -> the directory that holds the bundled handlers: of the prefix
 * where this code is, else the source tree around it, else of the prefix where
 * it was meant to be. */
static int l_data(lua_State *L)
{
    static const char *const places[] = {"../share/linedancer",
                                         "../../share/linedancer",
                                         "../../../share/linedancer",
                                         "../../../../share/linedancer",
                                         "..",
                                         "../.."};
    char dir[PATH_MAX], path[PATH_MAX + 64], found[PATH_MAX];

    if (find_own_directory(dir))
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
            snprintf(path, sizeof(path), "%s/%s/handlers/echo.lua", dir,
                     places[i]);
            if (access(path, R_OK) < 0)
                continue;
            snprintf(path, sizeof(path), "%s/%s", dir, places[i]);
            lua_pushstring(L, realpath(path, found) ? found : path);
            return 1;
        }
    lua_pushliteral(L, LD_DATADIR);
    return 1;
}

static void on_signal(struct ev_loop *loop, ev_signal *w, int events)
{
    (void)loop;
    (void)events;
    ld_gateway_drain(w->data);
}

/* The signals that end a program drain its gateway. */
static void watch_signals(struct ld_gateway *g, ev_signal watchers[2])
{
    static const int numbers[2] = {SIGINT, SIGTERM};

    for (int i = 0; i < 2; i++) {
        ev_signal_init(&watchers[i], on_signal, numbers[i]);
        watchers[i].data = g;
        ev_signal_start(g->loop, &watchers[i]);
        ev_unref(g->loop);
    }
}

/* The gateway of a script: of a Lua state that it does not own. */
struct script {
    struct ld_gateway gateway;
    ev_signal signals[2];
};

static int free_script(lua_State *L)
{
    struct script *s = lua_touserdata(L, 1);
    struct ld_gateway *g = &s->gateway;

    if (!g->loop)
        return 0;
    for (int i = 0; i < 2; i++)
        ev_signal_stop(g->loop, &s->signals[i]);
    ev_timer_stop(g->loop, &g->drain);
    return 0;
}

/* core.take_loop() -> true: from now on there is a loop, and core.run() runs
 * it; false when there was one. */
static int l_take_loop(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct script *s;

    if (vm->worker) {
        lua_pushboolean(L, 0);
        return 1;
    }
    if (vm->pool->open > 0)
        return luaL_error(L, "connections of tests are open");
    s = lua_newuserdata(L, sizeof(*s));
    memset(s, 0, sizeof(*s));
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, free_script);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    luaL_ref(L, LUA_REGISTRYINDEX); /* for as long as the state lives */
    if (ld_gateway_adopt(&s->gateway, vm))
        return luaL_error(L, "no loop: out of memory or descriptors");
    watch_signals(&s->gateway, s->signals);
    lua_pushboolean(L, 1);
    return 1;
}

/* For a plain luajit, which finds this as linedancer.so: the modules inside,
 * and the first of them. */
LD_PUBLIC int luaopen_linedancer(lua_State *L)
{
    ld_gateway_preload_modules(L);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    lua_getfield(L, -1, "linedancer");
    lua_pushliteral(L, "linedancer");
    lua_call(L, 1, 1);
    return 1;
}

static const luaL_Reg embed[] = {{"data", l_data},
                                 {"take_loop", l_take_loop},
                                 {"hear", ld_embed_hear},
                                 {NULL, NULL}};

void ld_lib_embed(lua_State *L)
{
    luaL_register(L, NULL, embed);
}

/* embed_load.c -- what a host gives a gateway before it serves. */
#include "gateway_parts.h"

#include <lauxlib.h>
#include <string.h>

#include "watchdog.h"

/* Errors of handlers are tables that have a text. */
static int traceback(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TSTRING)
        return luaL_callmeta(L, 1, "__tostring") ? 1 : lua_gettop(L);
    luaL_traceback(L, L, lua_tostring(L, 1), 1);
    return 1;
}

/* (name, ...) -> what linedancer.embed's function NAME returns */
static int dispatch(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "linedancer.embed");
    lua_call(L, 1, 1);
    lua_pushvalue(L, 1);
    lua_gettable(L, -2);
    lua_replace(L, 1);
    lua_pop(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

int ld_embed_lua(struct ld_gateway *g, const char *name, int count, int results)
{
    lua_State *L = g->L;
    int base = lua_gettop(L) - count + 1, failed;

    lua_pushcfunction(L, traceback);
    lua_insert(L, base);
    lua_pushcfunction(L, dispatch);
    lua_insert(L, base + 1);
    lua_pushstring(L, name);
    lua_insert(L, base + 2);
    g->vm->depth++;
    failed = lua_pcall(L, count + 1, results, base);
    g->vm->depth--;
    lua_remove(L, base);
    if (!failed)
        return 0;
    ld_refuse(LD_ERR_CONFIG, "%s",
              lua_isstring(L, -1) ? lua_tostring(L, -1) : "?");
    lua_pop(L, 1);
    return LD_ERR_CONFIG;
}

/* May it still be given something?  It has not been loaded. */
static int begin(struct ld_gateway *g)
{
    int code = ld_embed_free(g);

    if (code || g->stage == LD_STAGE_NEW)
        return code;
    return ld_refuse(LD_ERR_STATE, "the gateway has been loaded already");
}

/* True, or nil and a message, is on top of the stack. */
static int verdict(struct ld_gateway *g)
{
    int code = 0;

    if (!lua_toboolean(g->L, -2))
        code = ld_refuse(LD_ERR_CONFIG, "%s",
                         lua_isstring(g->L, -1) ? lua_tostring(g->L, -1)
                                                : "refused");
    lua_pop(g->L, 2);
    return code;
}

static int load(struct ld_gateway *g, const char *how, int count)
{
    int code = ld_embed_lua(g, how, count, 2);

    if (!code)
        code = verdict(g);
    if (code)
        return code;
    g->stage = LD_STAGE_LOADED;
    g->version = 1;
    return 0;
}

LD_PUBLIC int ld_gateway_load_file(struct ld_gateway *g, const char *path)
{
    int code = begin(g);

    if (code)
        return code;
    if (!path)
        return ld_refuse(LD_ERR_ARGUMENT, "there is no path: it is NULL");
    lua_pushstring(g->L, path);
    return load(g, "load_file", 1);
}

LD_PUBLIC int ld_gateway_load_string(struct ld_gateway *g, const char *config,
                                     const char *name)
{
    int code = begin(g);

    if (code)
        return code;
    if (!config)
        return ld_refuse(LD_ERR_ARGUMENT, "there is no config: it is NULL");
    lua_pushstring(g->L, config);
    lua_pushstring(g->L, name ? name : "config");
    return load(g, "load_string", 2);
}

LD_PUBLIC int ld_gateway_set_log(struct ld_gateway *g, ld_gateway_log_fn fn,
                                 void *ctx)
{
    int code = ld_embed_own(g);

    return code ? code : (ld_gateway_log_by(g, fn, ctx), 0);
}

LD_PUBLIC int ld_gateway_set_stopped(struct ld_gateway *g,
                                     ld_gateway_stopped_fn fn, void *ctx)
{
    int code = ld_embed_own(g);

    if (code)
        return code;
    g->stopped = fn;
    g->stopped_ctx = ctx;
    return 0;
}

LD_PUBLIC int ld_gateway_set_watchdog(struct ld_gateway *g)
{
    int code = begin(g);

    if (code)
        return code;
    if (!g->role.watchdog && !ld_watchdog_claim(g))
        return ld_refuse(LD_ERR_STATE, "another gateway of this process has "
                                       "the watchdog");
    g->role.watchdog = true;
    return 0;
}

static int check_name(const char *name)
{
    if (!name || !*name)
        return ld_refuse(LD_ERR_ARGUMENT, "a name is missing");
    return 0;
}

/* What is by a name, both on top of the stack, taken in the way HOW says. */
static int give(struct ld_gateway *g, const char *how)
{
    return ld_embed_lua(g, how, 2, 2) || verdict(g) ? LD_ERR_ARGUMENT : 0;
}

LD_PUBLIC int ld_gateway_preload(struct ld_gateway *g, const char *name,
                                 int (*open)(struct lua_State *L))
{
    int code = begin(g);

    if (code || (code = check_name(name)))
        return code;
    if (!open)
        return ld_refuse(LD_ERR_ARGUMENT, "module '%s' has no function", name);
    lua_pushstring(g->L, name);
    lua_pushcfunction(g->L, open);
    return give(g, "preload");
}

LD_PUBLIC int ld_gateway_add_script(struct ld_gateway *g, const char *name,
                                    const char *script)
{
    int code = begin(g);

    if (code || (code = check_name(name)))
        return code;
    if (!script)
        return ld_refuse(LD_ERR_ARGUMENT, "script '%s' has no text", name);
    lua_pushstring(g->L, name);
    lua_pushstring(g->L, script);
    return give(g, "add_script");
}

LD_PUBLIC int ld_gateway_set_value(struct ld_gateway *g, const char *name,
                                   const char *value)
{
    int code = begin(g);

    if (code || (code = check_name(name)))
        return code;
    if (!value)
        return ld_refuse(LD_ERR_ARGUMENT, "value '%s' is NULL", name);
    lua_pushstring(g->L, name);
    lua_pushstring(g->L, value);
    return ld_embed_lua(g, "set_value", 2, 0) ? LD_ERR_ARGUMENT : 0;
}

LD_PUBLIC int ld_gateway_port(struct ld_gateway *g, const char *name)
{
    int port, code = ld_embed_free(g);

    if (code || (code = check_name(name)))
        return -code;
    if (g->stage == LD_STAGE_NEW)
        return -ld_refuse(LD_ERR_STATE, "the gateway has not been loaded");
    lua_pushstring(g->L, name);
    if (ld_embed_lua(g, "port", 1, 1))
        return -LD_ERR_ARGUMENT;
    port = lua_isnumber(g->L, -1) ? (int)lua_tonumber(g->L, -1) : -1;
    lua_pop(g->L, 1);
    return port >= 0 ? port
                     : -ld_refuse(LD_ERR_ARGUMENT, "no listener is called '%s'",
                                  name);
}

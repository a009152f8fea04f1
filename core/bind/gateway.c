/* gateway.c -- struct ld_gateway of linedancer.h: a loop, a worker, a Lua
 * state with the modules of lua/linedancer built in.
 */
#include "gateway.h"
#include "budget.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

#include "../linedancer.h"
#include "../notify.h"
#include "alloc.h"
#include "embedded.h"
#include "lib_core.h"
#include "task_parts.h"

#define API __attribute__((visibility("default")))

enum { GC_STEP_MULTIPLIER = 1000 }; /* per cent of what is allocated */

static const double DRAIN_TICK = 0.1; /* seconds */

static const char role_key; /* its address is the registry key */

struct ld_gateway {
    struct ev_loop *loop;
    bool owns_loop;
    struct ld_worker *worker;
    struct ld_log log;
    ld_gateway_log_fn log_fn;
    void *log_ctx;
    struct ld_alloc *alloc;
    lua_State *L;
    struct ld_vm *vm;
    ev_timer drain;
    double deadline; /* on the loop's clock */
    struct ld_role role;
};

static void to_user(void *ctx, enum ld_level level, const char *line,
                    size_t len)
{
    struct ld_gateway *g = ctx;

    (void)level;
    g->log_fn(g->log_ctx, line, len);
}

/* package.preload[name](name): run the module embedded under that name. */
static int load_embedded(lua_State *L)
{
    const struct ld_embedded *e = lua_touserdata(L, lua_upvalueindex(1));
    const char *chunk = lua_pushfstring(L, "=%s", e->name);

    if (luaL_loadbuffer(L, (const char *)e->data, e->size, chunk))
        return lua_error(L);
    lua_pushstring(L, e->name);
    lua_call(L, 1, 1);
    return 1;
}

void ld_gateway_preload(lua_State *L)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    for (const struct ld_embedded *e = ld_embedded; e->name; e++) {
        lua_pushlightuserdata(L, (void *)e);
        lua_pushcclosure(L, load_embedded, 1);
        lua_setfield(L, -2, e->name);
    }
    lua_pushcfunction(L, luaopen_linedancer_core);
    lua_setfield(L, -2, "linedancer.core");
    lua_pop(L, 2);
}

static void remember_role(struct ld_gateway *g, lua_State *L)
{
    lua_pushlightuserdata(L, (void *)&role_key);
    lua_pushlightuserdata(L, &g->role);
    lua_rawset(L, LUA_REGISTRYINDEX);
}

const struct ld_role *ld_gateway_role(lua_State *L)
{
    static const struct ld_role alone;
    const struct ld_role *role;

    lua_pushlightuserdata(L, (void *)&role_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    role = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return role ? role : &alone;
}

/* One handler can use 30 traces: the default of 1000 would thrash. */
static int open_state(lua_State *L)
{
    struct ld_gateway *g = lua_touserdata(L, 1);

    luaL_openlibs(L);
    if (luaL_dostring(L, "require('jit.opt').start('maxtrace=8000', "
                         "'maxmcode=16384', 'maxrecord=8000')"))
        return lua_error(L);
    /* A cycle once begun should end soon: compiled code leaves for each step.
     */
    lua_gc(L, LUA_GCSETSTEPMUL, GC_STEP_MULTIPLIER);
    g->vm = ld_vm_open(L, g->worker, &g->log);
    g->vm->gateway = g;
    g->vm->alloc = g->alloc;
    g->vm->handshakes.crowd = &g->vm->pool->handshakes;
    remember_role(g, L);
    ld_gateway_preload(L);
    return luaL_dostring(L, "require('linedancer.traversal').install()")
               ? lua_error(L)
               : 0;
}

static enum ld_status open_lua(struct ld_gateway *g)
{
    g->alloc = ld_alloc_new();
    g->L = g->alloc ? lua_newstate(ld_alloc_block, g->alloc) : NULL;
    if (!g->L)
        return LD_NOMEM;
    if (lua_cpcall(g->L, open_state, g)) {
        ld_log(&g->log, LD_FAULT, "no Lua state", "error=\"%s\"",
               lua_tostring(g->L, -1));
        errno = EINVAL;
        return LD_ERROR;
    }
    return LD_OK;
}

static void call_drain(struct ld_gateway *g, double left)
{
    lua_State *L = g->vm->L;

    lua_rawgeti(L, LUA_REGISTRYINDEX, g->vm->drain_ref);
    lua_pushnumber(L, left);
    if (lua_pcall(L, 1, 0, 0)) {
        ld_log(&g->log, LD_FAULT, "drain failed", "error=\"%s\"",
               lua_tostring(L, -1));
        lua_pop(L, 1);
    }
}

/* Each tick ends what has become idle; after the deadline, everything, and a
 * second later there is no more waiting for slow peers.  Upstreams of what has
 * ended have their time to flush.  Tasks are not waited for: those of
 * connections end with them, others might never. */
static void on_drain_tick(struct ev_loop *loop, ev_timer *t, int events)
{
    struct ld_gateway *g = t->data;
    double left = g->deadline - ev_now(loop);

    (void)events;
    if (g->vm->accepted > 0 && left > -1)
        call_drain(g, left > 0 ? left : 0);
    ld_pool_settle(g->worker->pool);
    if ((g->vm->accepted == 0 && !ld_pool_is_ending(g->worker->pool)) ||
        left <= -1)
        ev_break(loop, EVBREAK_ALL);
}

static bool post(void *ctx, uint32_t slot, const void *p, size_t n)
{
    return ld_bus_post(ctx, slot, p, n);
}

static void ask(void *ctx, const void *p, size_t n)
{
    ld_bus_ask(ctx, p, n);
}

static void on_message(void *ctx, uint32_t slot, uint32_t incarnation,
                       const void *p, size_t n)
{
    ld_bus_to_lua(((struct ld_gateway *)ctx)->vm, slot, incarnation, p, n);
}

static void on_control(void *ctx, const void *p, size_t n)
{
    ld_control_to_lua(((struct ld_gateway *)ctx)->vm, p, n);
}

static void on_watch(void *ctx, uint32_t slot, bool on)
{
    ld_gateway_watch(((struct ld_gateway *)ctx)->vm, slot, on);
}

static void on_stop(void *ctx)
{
    struct ld_gateway *g = ctx;

    if (!g->vm->stopping)
        ld_gateway_close_ports(g->vm);
    ld_gateway_stop(g);
}

static void on_drain(void *ctx, uint32_t seconds)
{
    struct ld_gateway *g = ctx;

    if (g->vm->stopping)
        return;
    if (seconds != LD_DRAIN_DEFAULT)
        g->vm->drain_seconds = seconds;
    ld_gateway_stop(g);
}

static void on_leave(void *ctx)
{
    ld_gateway_leave_ports(((struct ld_gateway *)ctx)->vm);
}

static void on_socket(void *ctx, uint32_t listener, uint32_t slot, int fd)
{
    ld_gateway_give(((struct ld_gateway *)ctx)->vm, listener, slot, fd);
}

static enum ld_status take_seat(struct ld_gateway *g)
{
    static const struct ld_bus_ops ops = {post, ask};
    static const struct ld_bus_events events = {
        on_message, on_control, on_watch, on_stop,
        on_drain,   on_leave,   on_socket};
    const struct ld_seat *seat = g->role.seat;

    g->role.bus = ld_bus_new(g->loop, seat, &g->log, &events, g);
    if (!g->role.bus)
        return LD_NOMEM;
    g->log.worker = seat->slot;
    g->vm->bus = &ops;
    g->vm->bus_ctx = g->role.bus;
    g->vm->slot = seat->slot;
    g->vm->incarnation = seat->incarnation;
    g->vm->slots = seat->slots;
    return LD_OK;
}

static struct ld_gateway *open_gateway(const struct ld_gateway_options *o,
                                       const struct ld_role *role)
{
    struct ld_gateway *g = calloc(1, sizeof(*g));
    int err;

    if (!g)
        return NULL;
    g->role = *role;
    g->log.level = LD_INFO;
    g->log_fn = o->log;
    g->log_ctx = o->log_ctx;
    if (o->log) {
        g->log.write = to_user;
        g->log.ctx = g;
    }
    ev_timer_init(&g->drain, on_drain_tick, 0, DRAIN_TICK);
    g->drain.data = g;
    g->owns_loop = !o->loop;
    g->loop = o->loop ? o->loop : ev_loop_new(EVFLAG_AUTO | EVFLAG_NOSIGMASK);
    if (g->loop && (g->worker = ld_worker_new(g->loop, &g->log)) &&
        !open_lua(g) && (role->kind != LD_ROLE_WORKER || !take_seat(g)))
        return g;
    err = errno;
    ld_gateway_free(g);
    errno = err;
    return NULL;
}

API struct ld_gateway *ld_gateway_new(const struct ld_gateway_options *options)
{
    static const struct ld_gateway_options defaults;
    static const struct ld_role alone;

    return open_gateway(options ? options : &defaults, &alone);
}

struct ld_gateway *ld_gateway_new_as(const struct ld_role *role)
{
    static const struct ld_gateway_options defaults;

    return open_gateway(&defaults, role);
}

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

API int ld_gateway_command(struct ld_gateway *g, int argc, char **argv)
{
    lua_State *L = g->L;
    int status = 1;

    lua_settop(L, 0);
    lua_pushcfunction(L, traceback);
    lua_pushcfunction(L, call_command);
    lua_createtable(L, argc, 0);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i + 1);
    }
    if (lua_pcall(L, 1, 1, 1))
        ld_log(&g->log, LD_FAULT, "command failed", "error=\"%s\"",
               lua_tostring(L, -1));
    else
        status = (int)lua_tointeger(L, -1);
    lua_settop(L, 0);
    return status;
}

API void ld_gateway_stop(struct ld_gateway *g)
{
    if (g->vm->stopping) {
        ld_log(&g->log, LD_WARN, "stopping now", "open=%u", g->vm->accepted);
        ev_break(g->loop, EVBREAK_ALL);
        return;
    }
    if (g->role.plan)
        ld_notify("STOPPING=1");
    ld_gateway_close_ports(g->vm);
    ld_log(&g->log, LD_INFO, "draining", "open=%u seconds=%g", g->vm->accepted,
           g->vm->drain_seconds);
    g->deadline = ev_now(g->loop) + g->vm->drain_seconds;
    ev_timer_again(g->loop, &g->drain);
    ev_feed_event(g->loop, &g->drain, EV_TIMER);
}

API void ld_gateway_reload(struct ld_gateway *g)
{
    lua_State *L = g->vm->L;
    int top = lua_gettop(L);

    if (g->vm->reload_ref == LUA_NOREF || g->vm->stopping) {
        ld_log(&g->log, LD_WARN, "reload refused", "why=\"%s\"",
               g->vm->stopping ? "the gateway is stopping"
                               : "the gateway does not serve");
        return;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, g->vm->reload_ref);
    if (ld_task_call(L, 0))
        ld_log(&g->log, LD_FAULT, "reload failed", "error=\"%s\"",
               lua_tostring(L, -1));
    lua_settop(L, top);
}

API struct ev_loop *ld_gateway_loop(struct ld_gateway *g)
{
    return g->loop;
}

API void ld_gateway_free(struct ld_gateway *g)
{
    if (!g)
        return;
    if (g->loop)
        ev_timer_stop(g->loop, &g->drain);
    if (g->vm)
        ld_budget_stop(g->vm);
    if (g->L)
        lua_close(g->L);
    ld_bus_free(g->role.bus);
    ld_alloc_free(g->alloc);
    if (g->worker)
        ld_worker_free(g->worker);
    if (g->owns_loop && g->loop)
        ev_loop_destroy(g->loop);
    free(g);
}

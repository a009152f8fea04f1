/* gateway.c -- struct ld_gateway of linedancer.h: a loop, a worker, a Lua
 * state with the modules of lua/linedancer built in.
 */
#include "gateway_parts.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

#include "../notify.h"
#include "alloc.h"
#include "budget.h"
#include "embedded.h"
#include "lib_core.h"
#include "watchdog.h"

enum { GC_STEP_MULTIPLIER = 1000 }; /* per cent of what is allocated */

static const double DRAIN_TICK = 0.1; /* seconds */

static const char role_key; /* its address is the registry key */

static void to_user(void *ctx, enum ld_level level, const char *line,
                    size_t len)
{
    struct ld_gateway *g = ctx;

    (void)level;
    g->deep++;
    g->inside++;
    g->log_fn(g->log_ctx, line, len);
    g->inside--;
    g->deep--;
}

void ld_gateway_log_by(struct ld_gateway *g, ld_gateway_log_fn fn, void *ctx)
{
    g->log_fn = fn;
    g->log_ctx = ctx;
    g->log.write = fn ? to_user : NULL;
    g->log.ctx = g;
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

void ld_gateway_preload_modules(lua_State *L)
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
    ld_gateway_preload_modules(L);
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
    if (ld_vm_pcall(g->vm, L, 1, 0)) {
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
    if (g->broken) {
        ev_break(loop, EVBREAK_ONE);
        return;
    }
    if (g->vm->accepted > 0 && left > -1)
        call_drain(g, left > 0 ? left : 0);
    ld_pool_settle(g->worker->pool);
    if (left > -1 &&
        (g->vm->accepted > 0 || ld_pool_is_ending(g->worker->pool)))
        return;
    if (g->mode == LD_MODE_COMMAND)
        ev_break(loop, EVBREAK_ALL);
    else if (!ld_embed_is_busy(g)) /* in a loop within a callback */
        ld_embed_finish(g);
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
    ld_gateway_drain(g);
}

static void on_drain(void *ctx, uint32_t seconds)
{
    struct ld_gateway *g = ctx;

    if (g->vm->stopping)
        return;
    if (seconds != LD_DRAIN_DEFAULT)
        g->vm->drain_seconds = seconds;
    ld_gateway_drain(g);
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

struct ld_gateway *ld_gateway_open(const struct ld_gateway_options *o,
                                   const struct ld_role *role)
{
    struct ld_gateway *g = calloc(1, sizeof(*g));
    int err;

    if (!g)
        return NULL;
    pthread_mutex_init(&g->lock, NULL);
    ld_desk_cond_init(&g->ended);
    g->owner = pthread_self();
    g->role = *role;
    g->log.level = LD_INFO;
    ld_gateway_log_by(g, o->log, o->log_ctx);
    ev_timer_init(&g->drain, on_drain_tick, 0, DRAIN_TICK);
    g->drain.data = g;
    g->owns_loop = !o->loop;
    g->loop = o->loop ? o->loop : ev_loop_new(EVFLAG_AUTO | EVFLAG_NOSIGMASK);
    if (g->loop && (g->worker = ld_worker_new(g->loop, &g->log)) &&
        !open_lua(g) && (role->kind != LD_ROLE_WORKER || !take_seat(g)))
        return g;
    err = errno;
    ld_gateway_close(g);
    errno = err;
    return NULL;
}

/* The worker is freed with the VM, and the loop with that. */
enum ld_status ld_gateway_adopt(struct ld_gateway *g, struct ld_vm *vm)
{
    g->log = *vm->log;
    g->log.level = LD_INFO;
    ev_timer_init(&g->drain, on_drain_tick, 0, DRAIN_TICK);
    g->drain.data = g;
    g->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOSIGMASK);
    if (!g->loop)
        return LD_ERROR;
    g->worker = ld_worker_adopt(g->loop, vm->pool);
    if (!g->worker) {
        ev_loop_destroy(g->loop);
        g->loop = NULL;
        return LD_NOMEM;
    }
    g->vm = vm;
    g->L = vm->L;
    vm->log->level = LD_INFO;
    vm->worker = g->worker;
    vm->owns_worker = true;
    vm->virtual_time = false;
    vm->gateway = g;
    vm->handshakes.crowd = &vm->pool->handshakes;
    remember_role(g, vm->L);
    return LD_OK;
}

struct ld_gateway *ld_gateway_new_as(const struct ld_role *role)
{
    static const struct ld_gateway_options defaults;

    return ld_gateway_open(&defaults, role);
}

void ld_gateway_drain(struct ld_gateway *g)
{
    if (g->vm->stopping) {
        bool again = g->hurries; /* a log may stop the gateway, too */

        g->hurries = true;
        g->deadline = 0;
        if (!again)
            ld_log(&g->log, LD_WARN, "stopping now", "open=%u",
                   g->vm->accepted);
        ev_feed_event(g->loop, &g->drain, EV_TIMER);
        return;
    }
    if (g->role.plan)
        ld_notify("STOPPING=1");
    g->deadline = ev_now(g->loop) + g->vm->drain_seconds;
    ld_gateway_close_ports(g->vm);
    ld_log(&g->log, LD_INFO, "draining", "open=%u seconds=%g", g->vm->accepted,
           g->vm->drain_seconds);
    ev_timer_again(g->loop, &g->drain);
    ev_feed_event(g->loop, &g->drain, EV_TIMER);
}

void ld_gateway_dismantle(struct ld_gateway *g)
{
    ev_timer_stop(g->loop, &g->drain);
    if (g->vm && g->vm->watched)
        ld_watchdog_stop();
    if (g->vm)
        ld_budget_stop(g->vm);
    if (g->L)
        lua_close(g->L);
    ld_bus_free(g->role.bus);
    ld_alloc_free(g->alloc);
    if (g->worker)
        ld_worker_free(g->worker);
    g->vm = NULL;
    g->L = NULL;
    g->role.bus = NULL;
    g->alloc = NULL;
    g->worker = NULL;
}

void ld_gateway_close(struct ld_gateway *g)
{
    if (g->loop)
        ld_gateway_dismantle(g);
    if (g->owns_loop && g->loop)
        ev_loop_destroy(g->loop);
    pthread_cond_destroy(&g->ended);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

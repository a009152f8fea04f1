/* lib_world.c -- the part of linedancer.core behind linedancer.testing.world:
 * workers that are Lua states of one process, step by step.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gateway.h"
#include "lib_core.h"
#include "world.h"

#define WORLD "linedancer.world"

/* What can happen next. */
struct event {
    enum { TURN, POLL, ORDER, ASK, POST } kind;
    struct ld_world_slot *slot;
    uint32_t from; /* POST: index of the sender */
    struct ld_peer *peer;
};

static struct ld_world *check_world(lua_State *L)
{
    struct ld_world **box = luaL_checkudata(L, 1, WORLD);

    if (!*box)
        luaL_error(L, "the world has been closed");
    return *box;
}

static struct ld_world_slot *check_slot(lua_State *L, int arg)
{
    struct ld_world *w = check_world(L);
    struct ld_world_slot *s =
        ld_world_slot(w, (uint32_t)luaL_checknumber(L, arg));

    luaL_argcheck(L, s, arg, "no such worker");
    return s;
}

static bool has_work(const struct ld_pool *pool)
{
    return ld_pool_dirty(pool) > 0 || pool->channels.queue ||
           ld_turn_due(pool) <= pool->now;
}

/* Count down N for each event of S; true when E is the one. */
static bool scan_slot(struct ld_world_slot *s, uint32_t *n, struct event *e)
{
    *e = (struct event){TURN, s, 0, NULL};
    if (has_work(s->vm->pool) && (*n)-- == 0)
        return true;
    e->kind = ORDER;
    if (s->orders.first && (*n)-- == 0)
        return true;
    e->kind = ASK;
    if (s->asks.first && (*n)-- == 0)
        return true;
    e->kind = POST;
    for (; e->from < s->world->count; e->from++)
        if (s->from[e->from].first && !s->apart[e->from] && (*n)-- == 0)
            return true;
    return false;
}

/* The same for all of W, in a fixed order. */
static bool scan(struct ld_world *w, uint32_t *n, struct event *e)
{
    for (struct ld_peer *p = w->peers; p; p = p->next) {
        *e = (struct event){POLL, NULL, 0, p};
        if (ld_peer_events(p) && (*n)-- == 0)
            return true;
    }
    for (uint32_t i = 0; i < w->count; i++)
        if (w->slots[i].vm && scan_slot(&w->slots[i], n, e))
            return true;
    return false;
}

/* world:choices() -> how many things can happen now */
static int l_choices(lua_State *L)
{
    uint32_t n = UINT32_MAX;
    struct event e;

    scan(check_world(L), &n, &e);
    lua_pushinteger(L, (lua_Integer)(UINT32_MAX - n));
    return 1;
}

static void take_turn(lua_State *L, struct ld_vm *vm)
{
    struct ld_pool *pool = vm->pool;
    struct ld_turn turn;

    ld_turn_begin(&turn, vm, L);
    ld_timers_run(&pool->timers, pool->now);
    ld_timers_run(&pool->alarms, pool->now);
    ld_pool_settle(pool);
    ld_turn_end(&turn);
}

static void poll_peer(lua_State *L, struct ld_peer *p)
{
    struct ld_turn turn;

    ld_turn_begin(&turn, p->vm, L);
    ld_conn_ready(ld_peer_conn(p), ld_peer_events(p));
    ld_turn_end(&turn);
}

static void deliver(lua_State *L, const struct event *e)
{
    struct ld_vm *vm = e->slot->vm;
    struct ld_message *m;
    struct ld_turn turn;

    m = ld_message_take(e->kind == ORDER ? &e->slot->orders
                                         : &e->slot->from[e->from]);
    ld_turn_begin(&turn, vm, L);
    if (e->kind == ORDER)
        ld_control_to_lua(vm, m->bytes, m->size);
    else
        ld_bus_to_lua(vm, e->from + 1, m->incarnation, m->bytes, m->size);
    ld_turn_end(&turn);
    free(m);
}

/* What is not for the supervisor is for linedancer.testing: push it. */
static int answer(lua_State *L, struct ld_world_slot *s)
{
    struct ld_message *m = ld_message_take(&s->asks);
    int results = 0;

    if (!ld_arbiter_take(s->world->arbiter, s->slot, (const uint8_t *)m->bytes,
                         m->size)) {
        lua_pushinteger(L, (lua_Integer)s->slot);
        lua_pushlstring(L, m->bytes, m->size);
        results = 2;
    }
    free(m);
    return results;
}

/* world:perform(i) -> was it a turn of a worker: let it happen, I from 1.
 * Returns a slot and bytes, too, when its worker has asked for something that
 * is up to the caller. */
static int l_perform(lua_State *L)
{
    struct ld_world *w = check_world(L);
    uint32_t n = (uint32_t)luaL_checknumber(L, 2) - 1;
    struct event e;

    if (!scan(w, &n, &e))
        return 0;
    lua_pushboolean(L, e.kind == TURN);
    switch (e.kind) {
    case TURN: take_turn(L, e.slot->vm); return 1;
    case POLL: poll_peer(L, e.peer); return 1;
    case ASK: return 1 + answer(L, e.slot);
    default: deliver(L, &e); return 1;
    }
}

/* What a new state is made of. */
struct boot {
    struct ld_world_slot *slot;
    const char *path, *cpath;
    bool jit;
};

/* A plain luajit finds the Lua half by its path, as the first worker does. */
static void set_package(lua_State *L, const struct boot *b)
{
    if (b->slot->world->slots[0].vm->gateway)
        ld_gateway_preload_modules(L);
    lua_getglobal(L, "package");
    lua_pushstring(L, b->path);
    lua_setfield(L, -2, "path");
    lua_pushstring(L, b->cpath);
    lua_setfield(L, -2, "cpath");
    lua_getfield(L, -1, "preload");
    lua_pushcfunction(L, luaopen_linedancer_core);
    lua_setfield(L, -2, "linedancer.core");
    lua_pop(L, 2);
}

/* Runs in the new state, protected. */
static int boot(lua_State *L)
{
    const struct boot *b = lua_touserdata(L, 1);

    luaL_openlibs(L);
    if (!b->jit && luaL_dostring(L, "require('jit').off()"))
        return lua_error(L);
    ld_world_seat(b->slot, ld_vm_open(L, NULL, NULL));
    set_package(L, b);
    if (luaL_dostring(L, "return require('linedancer.testing.worker').serve"))
        return lua_error(L);
    b->slot->serve_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/* world:start(slot, path, cpath, jit): a fresh worker in a slot that is free,
 * with these values of package, and the JIT on or off. */
static int l_start(lua_State *L)
{
    struct ld_world *w = check_world(L);
    uint32_t slot = (uint32_t)luaL_checknumber(L, 2);
    struct boot b = {NULL, luaL_checkstring(L, 3), luaL_checkstring(L, 4),
                     lua_toboolean(L, 5)};
    lua_State *made;

    luaL_argcheck(L, slot >= 2 && slot <= w->count && !ld_world_slot(w, slot),
                  2, "no free slot");
    b.slot = &w->slots[slot - 1];
    made = luaL_newstate();
    if (!made)
        return luaL_error(L, "out of memory");
    if (lua_cpcall(made, boot, &b)) {
        lua_pushfstring(L, "worker %d did not start: %s", (int)slot,
                        lua_tostring(made, -1));
        b.slot->vm = NULL;
        lua_close(made);
        return lua_error(L);
    }
    ld_arbiter_enter(w->arbiter, slot, b.slot->incarnation);
    ld_arbiter_up(w->arbiter, slot);
    return 0;
}

/* world:incarnation(slot) -> which one lives there, or nil */
static int l_incarnation(lua_State *L)
{
    struct ld_world *w = check_world(L);
    struct ld_world_slot *s =
        ld_world_slot(w, (uint32_t)luaL_checknumber(L, 2));

    if (!s)
        return 0;
    lua_pushinteger(L, (lua_Integer)s->incarnation);
    return 1;
}

/* world:kill(slot): the worker, not the first, goes at once. */
static int l_kill(lua_State *L)
{
    struct ld_world_slot *s = check_slot(L, 2);

    luaL_argcheck(L, s->slot > 1, 2, "worker 1 is the test itself");
    ld_world_kill(s);
    return 0;
}

/* world:call(slot, bytes) -> bytes, and a machine or nil: what `serve` there
 * returns.  Raises its error as text. */
static int l_call(lua_State *L)
{
    struct ld_world_slot *s = check_slot(L, 2);
    size_t n;
    const char *bytes = luaL_checklstring(L, 3, &n);
    lua_State *there = s->vm->L;
    int top = lua_gettop(there), failed;

    lua_rawgeti(there, LUA_REGISTRYINDEX, s->serve_ref);
    lua_pushlstring(there, bytes, n);
    failed = lua_pcall(there, 1, 2, 0);
    bytes = lua_tolstring(there, top + 1, &n);
    lua_pushlstring(L, bytes ? bytes : "?", bytes ? n : 1);
    if (failed) {
        lua_settop(there, top);
        return lua_error(L);
    }
    if (lua_islightuserdata(there, top + 2))
        lua_pushlightuserdata(L, lua_touserdata(there, top + 2));
    else
        lua_pushnil(L);
    lua_settop(there, top);
    return 2;
}

/* world:open(slot, machine[, parent]) -> peer: with PARENT, a handle or 0, of
 * a connection that has no coroutine, and ends with the one of PARENT */
static int l_open(lua_State *L)
{
    struct ld_world_slot *s = check_slot(L, 2);
    struct ld_machine *m = lua_touserdata(L, 3);
    struct ld_conn *parent =
        ld_conn_find(s->vm->pool, (int64_t)luaL_optnumber(L, 4, 0));
    struct ld_peer *p;

    luaL_argcheck(L, m, 3, "machine expected");
    p = ld_peer_push(L, s->vm, m, !lua_isnoneornil(L, 4), parent);
    ld_world_add_peer(s->world, p);
    return 1;
}

/* world:apart(a, b, on): messages between these two wait, or no longer. */
static int l_apart(lua_State *L)
{
    struct ld_world *w = check_world(L);
    uint32_t a = (uint32_t)luaL_checknumber(L, 2) - 1;
    uint32_t b = (uint32_t)luaL_checknumber(L, 3) - 1;

    luaL_argcheck(L, a < w->count, 2, "no such worker");
    luaL_argcheck(L, b < w->count && a != b, 3, "no such other worker");
    w->slots[a].apart[b] = w->slots[b].apart[a] = lua_toboolean(L, 4);
    return 0;
}

/* world:now() -> seconds; when the next timer goes off, or infinity */
static int l_now(lua_State *L)
{
    struct ld_world *w = check_world(L);
    double next = HUGE_VAL;

    for (uint32_t i = 0; i < w->count; i++)
        if (w->slots[i].vm)
            next = fmin(next, ld_turn_due(w->slots[i].vm->pool));
    lua_pushnumber(L, w->slots[0].vm->pool->now);
    lua_pushnumber(L, next);
    return 2;
}

/* world:clock(seconds): that is what it is, for all workers. */
static int l_clock(lua_State *L)
{
    struct ld_world *w = check_world(L);
    double now = luaL_checknumber(L, 2);

    for (uint32_t i = 0; i < w->count; i++)
        if (w->slots[i].vm)
            w->slots[i].vm->pool->now = now;
    return 0;
}

/* world:open_count(slot) -> connections and tasks that live there */
static int l_open_count(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check_slot(L, 2)->vm->pool->open);
    return 1;
}

/* world:close(): all workers but the first go, and that one is a single
 * process again. */
static int l_close(lua_State *L)
{
    struct ld_world **box = luaL_checkudata(L, 1, WORLD);

    if (*box)
        ld_world_free(*box, ld_vm_of(L) != NULL);
    *box = NULL;
    return 0;
}

/* core.world(workers) -> world */
static int l_world(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    lua_Number count = luaL_checknumber(L, 1);
    struct ld_world **box;

    luaL_argcheck(L, count >= 1 && count <= LD_WORLD_SLOTS, 1,
                  "1 to 16 workers expected");
    luaL_argcheck(L, vm->virtual_time, 1, "the clock of a gateway is real");
    luaL_argcheck(L, !vm->bus, 1, "this is a worker of another world");
    box = lua_newuserdata(L, sizeof(struct ld_world *));
    *box = NULL;
    luaL_getmetatable(L, WORLD);
    lua_setmetatable(L, -2);
    *box = ld_world_new(vm, (uint32_t)count);
    return *box ? 1 : luaL_error(L, "out of memory");
}

static const luaL_Reg methods[] = {{"choices", l_choices},
                                   {"perform", l_perform},
                                   {"start", l_start},
                                   {"incarnation", l_incarnation},
                                   {"kill", l_kill},
                                   {"call", l_call},
                                   {"open", l_open},
                                   {"apart", l_apart},
                                   {"now", l_now},
                                   {"clock", l_clock},
                                   {"open_count", l_open_count},
                                   {"close", l_close},
                                   {NULL, NULL}};

void ld_lib_world(lua_State *L)
{
    if (luaL_newmetatable(L, WORLD)) {
        lua_newtable(L);
        luaL_register(L, NULL, methods);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, l_close);
        lua_setfield(L, -2, "__gc");
    }
    lua_pop(L, 1);
    lua_pushcfunction(L, l_world);
    lua_setfield(L, -2, "world");
}

/* lib_testing.c -- the part of linedancer.core behind linedancer.testing:
 * connections over memory, driven by calls instead of a loop.
 *
 * A peer is a userdata; its connection runs inside the call that feeds it.
 */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "../memory.h"
#include "lib_core.h"
#include "vm.h"

#define PEER "linedancer.peer"

struct peer {
    struct ld_memory memory;
    struct ld_vm *vm;
    int64_t handle;
};

static struct peer *check_peer(lua_State *L)
{
    return luaL_checkudata(L, 1, PEER);
}

static struct ld_conn *conn_of(const struct peer *p)
{
    return ld_conn_find(p->vm->pool, p->handle);
}

/* While connections run, peers that nobody refers to any more must stay: to
 * collect one is to close its connection, which may be the one that runs.
 * Returns whether the collector was running. */
static bool pause_gc(lua_State *L)
{
    bool running = lua_gc(L, LUA_GCISRUNNING, 0) != 0;

    lua_gc(L, LUA_GCSTOP, 0);
    return running;
}

static void resume_gc(lua_State *L, bool running)
{
    if (running)
        lua_gc(L, LUA_GCRESTART, 0);
}

/* Deliver EVENTS to P's connection, and let all of the pool settle. */
static void deliver(lua_State *L, struct peer *p, int events)
{
    struct ld_vm *vm = p->vm;
    lua_State *outer = vm->L;
    struct ld_conn *c = conn_of(p);
    bool gc;

    vm->L = L;
    if (c && events)
        ld_conn_ready(c, events);
    gc = pause_gc(L);
    ld_pool_settle(vm->pool);
    resume_gc(L, gc);
    vm->L = outer;
}

/* core.open(machine[, begin]) -> peer; with BEGIN false the connection is
 * made and not started. */
static int l_open(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_machine *m = lua_touserdata(L, 1);
    struct ld_link link = {.transport = &ld_memory_transport, .fd = -1};
    struct ld_conn *c;
    struct peer *p;
    lua_State *outer = vm->L;

    luaL_argcheck(L, m, 1, "machine expected");
    p = lua_newuserdata(L, sizeof(*p));
    ld_memory_init(&p->memory, &vm->pool->chunks);
    p->vm = vm;
    luaL_getmetatable(L, PEER);
    lua_setmetatable(L, -2);
    link.state = &p->memory;
    vm->L = L;
    c = ld_vm_connect(vm, link, m);
    vm->L = outer;
    if (!c)
        return luaL_error(L, "out of memory");
    p->handle = ld_conn_handle(c);
    return 1;
}

/* peer:begin(): run the handler for the first time. */
static int l_begin(lua_State *L)
{
    struct peer *p = check_peer(L);
    lua_State *outer = p->vm->L;
    struct ld_conn *c = conn_of(p);

    p->vm->L = L;
    if (c)
        ld_conn_begin(c);
    p->vm->L = outer;
    deliver(L, p, 0);
    return 0;
}

/* Reads of at most 64 KB are repeated while they bring something. */
static void pump(lua_State *L, struct peer *p)
{
    size_t before;

    do {
        before = p->memory.input.bytes;
        deliver(L, p, LD_READ);
    } while (p->memory.input.bytes > 0 && p->memory.input.bytes < before);
}

/* peer:feed(bytes): they arrive as one segment. */
static int l_feed(lua_State *L)
{
    struct peer *p = check_peer(L);
    size_t len;
    const char *bytes = luaL_checklstring(L, 2, &len);

    if (p->memory.closed)
        return 0;
    if (ld_chain_write(&p->memory.input, bytes, len))
        return luaL_error(L, "out of memory");
    pump(L, p);
    return 0;
}

/* peer:finish("eof" | "reset"): the peer ends its side, or the connection. */
static int l_finish(lua_State *L)
{
    struct peer *p = check_peer(L);
    const char *how = luaL_checkstring(L, 2);

    p->memory.end = strcmp(how, "reset") == 0 ? LD_RESET : LD_EOF;
    pump(L, p);
    deliver(L, p, LD_READ | LD_WRITE);
    return 0;
}

/* peer:room(bytes): how much more the peer takes; nil for any amount. */
static int l_room(lua_State *L)
{
    struct peer *p = check_peer(L);
    double n = luaL_optnumber(L, 2, -1);

    p->memory.room = n < 0 ? SIZE_MAX : (size_t)n;
    if (p->memory.room > 0 && !p->memory.closed)
        deliver(L, p, LD_WRITE);
    if (!p->memory.closed)
        pump(L, p);
    return 0;
}

/* peer:sent() -> all bytes written by the connection since the last call */
static int l_sent(lua_State *L)
{
    struct peer *p = check_peer(L);
    struct ld_chain *out = &p->memory.output;
    size_t n = out->bytes;
    uint8_t *copy = ld_vm_scratch(p->vm, n + 1);

    if (!copy)
        return luaL_error(L, "out of memory");
    ld_chain_copy(out, 0, n, copy);
    ld_chain_clear(out);
    lua_pushlstring(L, (char *)copy, n);
    return 1;
}

/* peer:status() -> "open", "ending", "closed" or "reset", has it half-closed,
 * how many bytes did the connection leave unread */
static int l_status(lua_State *L)
{
    struct peer *p = check_peer(L);
    struct ld_conn *c = conn_of(p);

    lua_pushstring(L, p->memory.was_reset              ? "reset"
                      : p->memory.closed               ? "closed"
                      : c && c->phase == LD_PHASE_OPEN ? "open"
                                                       : "ending");
    lua_pushboolean(L, p->memory.shut);
    lua_pushinteger(
        L, (lua_Integer)(p->memory.input.bytes + (c ? ld_conn_unread(c) : 0)));
    return 3;
}

static int l_handle(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)check_peer(L)->handle);
    return 1;
}

/* peer:drop(): the connection goes without a word to its handler.  It must not
 * outlive the memory it writes to. */
static int l_drop(lua_State *L)
{
    struct peer *p = check_peer(L);
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_conn *c;
    lua_State *outer;
    bool quiet;

    if (!vm) /* the state is closing, and the VM went first */
        return 0;
    outer = vm->L;
    quiet = vm->quiet;
    vm->L = L;
    c = conn_of(p);
    if (c) {
        c->reset = vm->quiet = true;
        if (c->phase == LD_PHASE_OPEN)
            ld_conn_finish(c);
        else
            ld_conn_end_timeout(c);
    }
    vm->quiet = quiet;
    vm->L = outer;
    ld_memory_clear(&p->memory);
    return 0;
}

/* core.advance(seconds): the virtual clock moves, deadline by deadline. */
static int l_advance(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_pool *pool = vm->pool;
    lua_State *outer = vm->L;
    double until = pool->now + luaL_checknumber(L, 1);
    bool gc;

    luaL_argcheck(L, vm->virtual_time, 1, "the clock of a gateway is real");
    vm->L = L;
    gc = pause_gc(L);
    while (ld_timers_next(&pool->timers) <= until) {
        pool->now = ld_timers_next(&pool->timers);
        ld_timers_run(&pool->timers, pool->now);
        ld_pool_settle(pool);
    }
    resume_gc(L, gc);
    pool->now = until;
    vm->L = outer;
    return 0;
}

/* core.settle(): what connections wrote to each other leaves. */
static int l_settle(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    lua_State *outer = vm->L;
    bool gc = pause_gc(L);

    vm->L = L;
    ld_pool_settle(vm->pool);
    vm->L = outer;
    resume_gc(L, gc);
    return 0;
}

static const luaL_Reg peer_methods[] = {
    {"begin", l_begin},   {"feed", l_feed}, {"finish", l_finish},
    {"room", l_room},     {"sent", l_sent}, {"status", l_status},
    {"handle", l_handle}, {"drop", l_drop}, {NULL, NULL}};

static const luaL_Reg testing[] = {{"open", l_open},
                                   {"advance", l_advance},
                                   {"settle", l_settle},
                                   {NULL, NULL}};

void ld_lib_testing(lua_State *L)
{
    if (luaL_newmetatable(L, PEER)) {
        lua_newtable(L);
        luaL_register(L, NULL, peer_methods);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, l_drop);
        lua_setfield(L, -2, "__gc");
    }
    lua_pop(L, 1);
    luaL_register(L, NULL, testing);
}

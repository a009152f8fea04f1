/* lib_testing.c -- the part of linedancer.core behind linedancer.testing:
 * connections over memory, driven by calls instead of a loop.
 *
 * A peer is a userdata; its connection runs inside the call that feeds it.
 */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "../conn_parts.h"
#include "lib_core.h"
#include "peer.h"

#define PEER "linedancer.peer"

static struct ld_peer *check_peer(lua_State *L)
{
    return luaL_checkudata(L, 1, PEER);
}

struct ld_conn *ld_peer_conn(const struct ld_peer *p)
{
    return p->vm ? ld_conn_find(p->vm->pool, p->handle) : NULL;
}

void ld_turn_begin(struct ld_turn *t, struct ld_vm *vm, lua_State *L)
{
    t->vm = vm;
    t->outer = vm->L;
    if (vm == ld_vm_of(L))
        vm->L = L;
    t->gc = lua_gc(vm->L, LUA_GCISRUNNING, 0) != 0;
    lua_gc(vm->L, LUA_GCSTOP, 0);
}

void ld_turn_end(struct ld_turn *t)
{
    if (t->gc)
        lua_gc(t->vm->L, LUA_GCRESTART, 0);
    t->vm->L = t->outer;
}

/* Until nobody has anything to do, or for as long as a test may take. */
static void settle(struct ld_pool *pool)
{
    enum { ROUNDS = 10000 };

    for (int i = 0; i < ROUNDS && ld_pool_settle(pool); i++)
        ;
}

double ld_turn_due(const struct ld_pool *pool)
{
    double timer = ld_timers_next(&pool->timers);
    double alarm = ld_timers_next(&pool->alarms);

    return timer < alarm ? timer : alarm;
}

/* Deliver EVENTS to P's connection, and let all of the pool settle. */
static void deliver(lua_State *L, struct ld_peer *p, int events)
{
    struct ld_conn *c = ld_peer_conn(p);
    struct ld_turn turn;

    if (!p->vm)
        return;
    ld_turn_begin(&turn, p->vm, L);
    if (c && events)
        ld_conn_ready(c, events);
    settle(p->vm->pool);
    ld_turn_end(&turn);
}

static struct ld_conn *make_conn(struct ld_vm *vm, struct ld_link link,
                                 struct ld_machine *machine, bool passive,
                                 struct ld_conn *parent)
{
    return passive ? ld_vm_adopt(vm, link, machine, parent)
                   : ld_vm_connect(vm, link, machine);
}

struct ld_peer *ld_peer_push(lua_State *L, struct ld_vm *vm,
                             struct ld_machine *machine, bool passive,
                             struct ld_conn *parent)
{
    struct ld_link link = {.transport = &ld_memory_transport, .fd = -1};
    struct ld_peer *p = lua_newuserdata(L, sizeof(*p));
    struct ld_turn turn;
    struct ld_conn *c;

    memset(p, 0, sizeof(*p));
    ld_memory_init(&p->memory, &vm->pool->chunks);
    p->vm = vm;
    p->elsewhere = vm != ld_vm_of(L);
    luaL_getmetatable(L, PEER);
    lua_setmetatable(L, -2);
    link.state = &p->memory;
    ld_turn_begin(&turn, vm, L);
    c = make_conn(vm, link, machine, passive, parent);
    ld_turn_end(&turn);
    if (!c)
        luaL_error(L, "out of memory");
    else
        p->handle = ld_conn_handle(c);
    return p;
}

/* core.open(machine) -> peer; its connection has not begun. */
static int l_open(lua_State *L)
{
    struct ld_machine *m = lua_touserdata(L, 1);

    luaL_argcheck(L, m, 1, "machine expected");
    ld_peer_push(L, ld_vm_of(L), m, false, NULL);
    return 1;
}

/* peer:begin(): run the handler for the first time. */
static int l_begin(lua_State *L)
{
    struct ld_peer *p = check_peer(L);
    struct ld_conn *c = ld_peer_conn(p);
    struct ld_turn turn;

    if (!c)
        return 0;
    ld_turn_begin(&turn, p->vm, L);
    ld_conn_begin(c);
    settle(p->vm->pool);
    ld_turn_end(&turn);
    return 0;
}

/* Reads of at most 64 KB are repeated while they bring something. */
static void pump(lua_State *L, struct ld_peer *p)
{
    size_t before;

    do {
        before = p->memory.input.bytes;
        deliver(L, p, LD_READ);
    } while (p->memory.input.bytes > 0 && p->memory.input.bytes < before);
}

/* peer:put(bytes): they are there to be read. */
static int l_put(lua_State *L)
{
    struct ld_peer *p = check_peer(L);
    size_t len;
    const char *bytes = luaL_checklstring(L, 2, &len);

    if (p->vm && !p->memory.closed &&
        ld_chain_write(&p->memory.input, bytes, len))
        return luaL_error(L, "out of memory");
    return 0;
}

/* peer:feed(bytes): they arrive as one segment. */
static int l_feed(lua_State *L)
{
    struct ld_peer *p = check_peer(L);

    l_put(L);
    if (!p->memory.closed)
        pump(L, p);
    return 0;
}

/* peer:stop("eof" | "reset"): the peer ends its side, or the connection,
 * which has not noticed yet. */
static int l_stop(lua_State *L)
{
    struct ld_peer *p = check_peer(L);
    const char *how = luaL_checkstring(L, 2);

    if (p->memory.end != LD_RESET)
        p->memory.end = strcmp(how, "reset") == 0 ? LD_RESET : LD_EOF;
    return 0;
}

/* peer:finish("eof" | "reset"): the same, and it notices. */
static int l_finish(lua_State *L)
{
    struct ld_peer *p = check_peer(L);

    l_stop(L);
    pump(L, p);
    deliver(L, p, LD_READ | LD_WRITE);
    return 0;
}

static size_t amount(lua_State *L, int arg)
{
    double n = luaL_optnumber(L, arg, -1);

    return n < 0 ? SIZE_MAX : (size_t)n;
}

/* peer:allow(bytes): how much more the peer takes; nil for any amount. */
static int l_allow(lua_State *L)
{
    check_peer(L)->memory.room = amount(L, 2);
    return 0;
}

/* peer:pace(read_max, write_max): bytes of one read of the connection, and of
 * one write; nil for any number. */
static int l_pace(lua_State *L)
{
    struct ld_memory *m = &check_peer(L)->memory;

    m->read_max = amount(L, 2);
    m->write_max = amount(L, 3);
    return 0;
}

/* peer:room(bytes): allow(), and the connection notices. */
static int l_room(lua_State *L)
{
    struct ld_peer *p = check_peer(L);

    l_allow(L);
    if (p->memory.room > 0 && !p->memory.closed)
        deliver(L, p, LD_WRITE);
    if (!p->memory.closed)
        pump(L, p);
    return 0;
}

/* peer:sent([max]) -> what the connection wrote since the last call */
static int l_sent(lua_State *L)
{
    struct ld_peer *p = check_peer(L);
    struct ld_chain *out = &p->memory.output;
    size_t most = amount(L, 2), n = out->bytes < most ? out->bytes : most;
    uint8_t *copy = ld_vm_scratch(ld_vm_of(L), n + 1);

    if (!copy)
        return luaL_error(L, "out of memory");
    ld_chain_copy(out, 0, n, copy);
    ld_chain_consume(out, n);
    lua_pushlstring(L, (char *)copy, n);
    return 1;
}

/* peer:flow() -> bytes that it wrote and nobody took, bytes that it has not
 * read; has it ended its side; is it gone */
static int l_flow(lua_State *L)
{
    const struct ld_memory *m = &check_peer(L)->memory;

    lua_pushinteger(L, (lua_Integer)m->output.bytes);
    lua_pushinteger(L, (lua_Integer)m->input.bytes);
    lua_pushboolean(L, m->shut);
    lua_pushboolean(L, m->closed);
    return 4;
}

/* peer:status() -> "open", "ending", "closed" or "reset", has it half-closed,
 * how many bytes did the connection leave unread */
static int l_status(lua_State *L)
{
    struct ld_peer *p = check_peer(L);
    struct ld_conn *c = ld_peer_conn(p);

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

static void end(struct ld_conn *c)
{
    c->reset = true;
    if (c->phase == LD_PHASE_OPEN)
        ld_conn_finish(c);
    else
        ld_conn_end_timeout(c);
}

/* peer:drop(): the connection goes at once; it must not outlive the memory it
 * writes to. */
static int l_drop(lua_State *L)
{
    struct ld_peer *p = check_peer(L);
    struct ld_conn *c = ld_peer_conn(p);
    struct ld_turn turn;

    if (c) {
        ld_turn_begin(&turn, p->vm, L);
        end(c);
        ld_turn_end(&turn);
    }
    ld_memory_clear(&p->memory);
    return 0;
}

void ld_peer_cut(struct ld_peer *p)
{
    struct ld_conn *c = ld_peer_conn(p);
    bool quiet;

    if (!p->vm)
        return;
    quiet = p->vm->quiet;
    p->vm->quiet = true;
    if (c)
        end(c);
    p->vm->quiet = quiet;
    ld_memory_clear(&p->memory);
    p->vm = NULL;
}

static int l_gc(lua_State *L)
{
    struct ld_peer *p = check_peer(L);
    struct ld_turn turn;

    if (p->at) {
        *p->at = p->next;
        if (p->next)
            p->next->at = p->at;
    }
    if (!p->vm || (!p->elsewhere && !ld_vm_of(L)))
        return 0; /* the state is closing, and the VM went first */
    ld_turn_begin(&turn, p->vm, L);
    ld_peer_cut(p);
    ld_turn_end(&turn);
    return 0;
}

int ld_peer_events(const struct ld_peer *p)
{
    const struct ld_memory *m = &p->memory;
    const struct ld_conn *c = ld_peer_conn(p);
    int events = 0;

    if (m->input.bytes > 0 || m->end != LD_AGAIN)
        events |= LD_READ;
    if (m->room > 0 || m->end == LD_RESET)
        events |= LD_WRITE;
    return c ? events & c->io.events : 0;
}

/* core.advance(seconds): the virtual clock moves, deadline by deadline. */
static int l_advance(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_pool *pool = vm->pool;
    double until = pool->now + luaL_checknumber(L, 1);
    struct ld_turn turn;

    luaL_argcheck(L, vm->virtual_time, 1, "the clock of a gateway is real");
    ld_turn_begin(&turn, vm, L);
    settle(pool);
    while (ld_turn_due(pool) <= until) {
        pool->now = ld_turn_due(pool);
        ld_timers_run(&pool->timers, pool->now);
        ld_timers_run(&pool->alarms, pool->now);
        settle(pool);
    }
    pool->now = until;
    ld_turn_end(&turn);
    return 0;
}

/* core.simulate(): a program that runs specs, and never its loop, has a virtual
 * clock, too. */
static int l_simulate(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);

    vm->virtual_time = true;
    vm->pool->now = 1;
    return 0;
}

/* core.settle(): what connections wrote to each other leaves. */
static int l_settle(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_turn turn;

    ld_turn_begin(&turn, vm, L);
    settle(vm->pool);
    ld_turn_end(&turn);
    return 0;
}

static const luaL_Reg peer_methods[] = {
    {"begin", l_begin}, {"put", l_put},       {"feed", l_feed},
    {"stop", l_stop},   {"finish", l_finish}, {"allow", l_allow},
    {"pace", l_pace},   {"room", l_room},     {"sent", l_sent},
    {"flow", l_flow},   {"status", l_status}, {"handle", l_handle},
    {"drop", l_drop},   {NULL, NULL}};

static const luaL_Reg testing[] = {{"open", l_open},
                                   {"advance", l_advance},
                                   {"settle", l_settle},
                                   {"simulate", l_simulate},
                                   {NULL, NULL}};

void ld_lib_testing(lua_State *L)
{
    if (luaL_newmetatable(L, PEER)) {
        lua_newtable(L);
        luaL_register(L, NULL, peer_methods);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, l_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_pop(L, 1);
    luaL_register(L, NULL, testing);
}

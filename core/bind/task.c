/* task.c -- runs handlers; the only place that resumes a coroutine.
 *
 * A connection's coroutine runs `run` of linedancer.machine.  It yields when a
 * read has recorded a wait, and finds that wait's status in the result.  The
 * thread of a handler that returned is used again by the next connection in
 * the same slot; one that failed, or was abandoned, is left to the collector.
 */
#include <lauxlib.h>
#include <string.h>

#include "../conn_parts.h"
#include "budget.h"
#include "task_parts.h"
#include "watchdog.h"

enum {
    RESTARTS_MAX = 8,        /* by on_error, without reading in between */
    KEPT_THREADS = 1024,     /* slots below this keep a finished thread */
    EXTERNAL_STEP = 4 << 20, /* bytes of buffers that earn a GC step */
    EXTERNAL_RATE = 1024     /* bytes per unit of LUA_GCSTEP */
};

/* The thread of C's slot: the one left by an earlier connection, or new. */
static lua_State *take_thread(struct ld_vm *vm, const struct ld_conn *c)
{
    lua_State *L = vm->L, *co;
    int slot = (int)c->slot + 1;

    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->threads_ref);
    lua_rawgeti(L, -1, slot);
    co = lua_tothread(L, -1);
    lua_pop(L, 1);
    if (!co) {
        co = lua_newthread(L);
        lua_rawseti(L, -2, slot);
    }
    lua_pop(L, 1);
    return co;
}

void ld_task_drop_thread(struct ld_vm *vm, struct ld_conn *c)
{
    lua_rawgeti(vm->L, LUA_REGISTRYINDEX, vm->threads_ref);
    lua_pushnil(vm->L);
    lua_rawseti(vm->L, -2, (int)c->slot + 1);
    lua_pop(vm->L, 1);
    c->owner = NULL;
    c->epoch++; /* what it awaits elsewhere is awaited by nobody */
}

/* LuaJIT does not see the memory of buffers: let it pay the collector. */
static void pace_gc(struct ld_vm *vm)
{
    if (vm->external < EXTERNAL_STEP)
        return;
    lua_gc(vm->L, LUA_GCSTEP, (int)(vm->external / EXTERNAL_RATE));
    vm->external = 0;
    ld_budget_check(vm);
}

/* Would an error raised in CO be caught there?  If not, it need not run. */
static bool catches(const struct ld_vm *vm, lua_State *co)
{
    lua_Debug ar;

    for (int level = 0; lua_getstack(co, level, &ar); level++) {
        const void *fn;

        if (!lua_checkstack(co, 1) || !lua_getinfo(co, "fS", &ar))
            return true;
        fn = lua_topointer(co, -1);
        lua_pop(co, 1);
        if (fn == vm->catchers[0] || fn == vm->catchers[1])
            return true;
        if (strstr(ar.short_src, "coroutines")) /* waits pass through it */
            return true;
    }
    return false;
}

void ld_task_prepare(struct ld_vm *vm, struct ld_conn *c, int count)
{
    lua_State *co = take_thread(vm, c);

    c->owner = co;
    lua_checkstack(co, count + 3);
    lua_rawgeti(co, LUA_REGISTRYINDEX, c->task ? vm->task_ref : vm->run_ref);
    ld_vm_push_conn(vm, c);
    lua_xmove(vm->L, co, 1);
    if (count > 0)
        lua_xmove(vm->L, co, count); /* the conn went first, from above them */
    if (c->wait && c->waiter && ld_conn_waiter(c)) { /* a task reads C */
        c->parked = LD_PARKED;
        ld_conn_unpark(c);
        return;
    }
    ld_conn_drop_wait(c);
    c->parked = LD_NOT_PARKED;
    c->wait = LD_WAIT_START;
}

/* May on_error choose a state to go on in?  Only if the peer is there, and
 * the states it chose before did not all fail without reading anything. */
static bool can_go_on(struct ld_conn *c)
{
    if (c->restart_unread != ld_conn_unread(c))
        c->restarts = 0;
    c->restart_unread = ld_conn_unread(c);
    if (c->task)
        return c->phase == LD_PHASE_OPEN && !c->doom;
    return c->phase == LD_PHASE_OPEN && c->doom != LD_RESET &&
           c->doom != LD_ERROR && c->doom != LD_CLOSED &&
           c->restarts < RESTARTS_MAX;
}

int ld_task_call(lua_State *L, int nargs)
{
    struct ld_vm *vm = ld_vm_of(L);
    int r;

    if (vm->watched)
        ld_watchdog_begin(NULL);
    ld_budget_begin(vm);
    r = ld_vm_pcall(vm, L, nargs, LUA_MULTRET);
    ld_budget_end(vm);
    if (vm->watched)
        ld_watchdog_end(L);
    return r;
}

/* The tasks of C end before anything is said of its own end. */
static void abandon_tasks(struct ld_vm *vm, struct ld_conn *c)
{
    struct ld_conn *child = c->extra ? c->extra->children : NULL, *next;

    for (; child; child = next) {
        next = child->extra->sibling;
        if (child->task)
            ld_task_abandon(vm, child);
    }
}

void ld_task_abandon(struct ld_vm *vm, struct ld_conn *c)
{
    if (c->phase != LD_PHASE_OPEN)
        return;
    abandon_tasks(vm, c);
    if (c->owner)
        ld_task_drop_thread(vm, c);
    ld_conn_finish(c);
}

void ld_task_finish(struct ld_vm *vm, struct ld_conn *c)
{
    lua_State *L = vm->L;
    int top = lua_gettop(L) - 3;

    abandon_tasks(vm, c);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->finish_ref);
    lua_insert(L, top + 1);
    ld_vm_push_conn(vm, c);
    lua_insert(L, top + 2);
    if (ld_task_call(L, 4)) {
        ld_log(vm->log, LD_FAULT, "finish failed", "error=\"%s\"",
               lua_tostring(L, -1));
    } else if (lua_gettop(L) > top && !lua_isnil(L, top + 1) && can_go_on(c)) {
        c->doom = LD_OK;
        c->gone_count = 0;
        c->restarts++;
        ld_task_prepare(vm, c, lua_gettop(L) - top);
        lua_settop(L, top);
        return;
    }
    lua_settop(L, top);
    ld_conn_finish(c);
}

/* Push the name, else the number, of the field of the frame at fault. */
static void push_field(lua_State *L, const struct ld_conn *c)
{
    uint32_t count, i = c->pool->result->field;
    const struct ld_field *fields;

    fields = c->wait == LD_WAIT_FRAME && c->format
                 ? ld_format_fields(c->format, &count)
                 : NULL;
    if (!fields)
        lua_pushnil(L);
    else if (i < count && *fields[i].name)
        lua_pushstring(L, fields[i].name);
    else
        lua_pushinteger(L, (lua_Integer)i + 1);
}

/* C failed while its coroutine waited, which is abandoned there. */
static void fail(struct ld_vm *vm, struct ld_conn *c, enum ld_status st)
{
    lua_State *L = vm->L;

    ld_task_drop_thread(vm, c);
    lua_pushstring(L, ld_strstatus(st));
    lua_pushnil(L);
    push_field(L, c);
    ld_conn_drop_wait(c);
    ld_task_finish(vm, c);
}

/* The coroutine returned.  Most do so with nobody to tell. */
static void done(struct ld_vm *vm, struct ld_conn *c, lua_State *co)
{
    lua_settop(co, 0);
    if (c->slot >= KEPT_THREADS)
        ld_task_drop_thread(vm, c);
    if (!ld_task_machine(c)->watches_end && !c->entangled && !c->extra &&
        vm->log->level > LD_DEBUG) {
        ld_conn_finish(c);
        return;
    }
    lua_pushnil(vm->L);
    lua_pushnil(vm->L);
    lua_pushnil(vm->L);
    ld_task_finish(vm, c);
}

static void raised(struct ld_vm *vm, struct ld_conn *c, lua_State *co)
{
    lua_State *L = vm->L;

    luaL_checkstack(L, 4, "no room for an error");
    lua_xmove(co, L, 1);
    luaL_traceback(L, co, NULL, 0);
    lua_pushnil(L);
    ld_task_drop_thread(vm, c);
    ld_task_finish(vm, c);
}

/* How did CO, C's coroutine, suspend itself?  False when it yielded for any
 * other reason.  A read that could not wait, in a callback of a C function,
 * may have left a wait behind that nobody waits for. */
static bool suspended(struct ld_vm *vm, struct ld_conn *c, lua_State *co)
{
    const void *token = lua_gettop(co) > 0 ? lua_topointer(co, -1) : NULL;
    struct ld_conn *other = vm->pool->elsewhere;

    if (token == vm->wait_token && c->wait != LD_WAIT_NONE && c->waiter == 0)
        return true;
    c->view++; /* as a read of its own has done: slices end with a wait */
    if (token == vm->wait_token && other && other->wait &&
        ld_conn_waiter(other) == c) {
        c->parked = LD_AWAY;
        return true;
    }
    c->parked = token == vm->park_token ? LD_PARKED : LD_NOT_PARKED;
    return c->parked != LD_NOT_PARKED;
}

static void resume(struct ld_vm *vm, struct ld_conn *c, int nargs)
{
    lua_State *co = c->owner;
    struct ld_conn *outer = vm->pool->running;
    bool in_hook = vm->pool->in_hook, stopped, spent;
    int r;

    c->epoch++;
    if (c->wait == LD_WAIT_NONE)
        c->waiter = 0; /* another one's read of C, which came at once */
    vm->pool->elsewhere = NULL;
    ld_pool_run(vm->pool, c, false);
    if (vm->watched)
        ld_watchdog_begin(co);
    ld_budget_begin(vm);
    vm->depth++;
    r = lua_resume(co, nargs);
    vm->depth--;
    spent = ld_budget_end(vm);
    stopped = vm->watched && ld_watchdog_end(vm->L);
    ld_pool_run(vm->pool, outer, in_hook);
    pace_gc(vm);
    if (spent) { /* whatever it made of that */
        lua_pushliteral(co, LD_BUDGET_SPENT);
        raised(vm, c, co);
        ld_budget_collect(vm);
    } else if (stopped) {
        lua_pushliteral(co, LD_WATCHDOG_STOPPED);
        raised(vm, c, co);
    } else if (r == 0) {
        done(vm, c, co);
    } else if (r != LUA_YIELD) {
        raised(vm, c, co);
    } else if (c->wait == LD_WAIT_ABANDON) {
        fail(vm, c, c->doom ? (enum ld_status)c->doom : LD_CLOSED);
    } else if (!suspended(vm, c, co)) {
        lua_pushliteral(co, "coroutine.yield() outside a coroutine of the "
                            "handler's own: a connection waits by reading");
        raised(vm, c, co);
    } else {
        c->restarts = 0; /* what was yielded goes with the next resume */
    }
}

/* Resume C, which waited elsewhere than in a read of its own, because SOURCE
 * (NULL: it was woken, or is to end) is done with ST. */
static void resume_parked(struct ld_vm *vm, struct ld_conn *c,
                          enum ld_status st, const struct ld_conn *source)
{
    struct ld_result *r = vm->pool->result;

    if (c->waiter == 0)
        ld_conn_drop_wait(c); /* the other source won */
    c->parked = LD_NOT_PARKED;
    c->news &= (uint8_t)~LD_NEWS_UNPARKED;
    r->status = (int)st;
    r->source = source ? (double)ld_conn_handle(source) : 0;
    resume(vm, c, 0);
}

/* C's own coroutine is suspended, and C is to end: it may catch that, but not
 * suspend itself for ever again. */
static void end_parked(struct ld_vm *vm, struct ld_conn *c, enum ld_status st)
{
    if (c->gone_count >= LD_GONE_MAX || !catches(vm, c->owner)) {
        fail(vm, c, st);
        return;
    }
    c->gone_count++;
    resume_parked(vm, c, st, NULL);
}

/* A read of C is done that the coroutine of another connection awaits. */
static void wake_other(struct ld_vm *vm, struct ld_conn *c, enum ld_status st)
{
    struct ld_conn *w = ld_conn_waiter(c);
    uint32_t generation;

    ld_conn_drop_wait(c);
    if (!w || !w->parked || w->phase != LD_PHASE_OPEN)
        return;
    generation = w->generation;
    resume_parked(vm, w, st, c);
    if (w->generation == generation)
        ld_conn_queue(w); /* what it wrote leaves, and it may be done */
}

static void start(struct ld_vm *vm, struct ld_conn *c)
{
    if (!c->owner || lua_gettop(c->owner) == 0)
        ld_task_prepare(vm, c, 0);
    ld_conn_drop_wait(c);
    resume(vm, c, lua_gettop(c->owner) - 1);
}

void ld_task_wake(void *ctx, struct ld_conn *c, enum ld_status st)
{
    struct ld_vm *vm = ctx;

    if (c->wait == LD_WAIT_START && !st) {
        start(vm, c);
        return;
    }
    if (c->wait != LD_WAIT_NONE && c->waiter) {
        wake_other(vm, c, st);
        return;
    }
    if (c->wait == LD_WAIT_NONE) {
        if (c->passive)
            ld_conn_finish(c);
        else
            end_parked(vm, c, st);
        return;
    }
    if (c->wait == LD_WAIT_ABANDON || c->wait == LD_WAIT_START ||
        (st != LD_OK && st != LD_EOF && !catches(vm, c->owner))) {
        fail(vm, c, st);
        return;
    }
    if (c->doom)
        c->gone_count++;
    if (c->parked) {
        resume_parked(vm, c, st, c);
        return;
    }
    ld_conn_drop_wait(c);
    vm->pool->result->status = (int)st;
    resume(vm, c, 0);
}

/* Unparked; or what it was away for has gone; or it begins while a task reads
 * C. */
void ld_task_go_on(void *ctx, struct ld_conn *c)
{
    if (lua_status(c->owner) != LUA_YIELD) {
        c->parked = LD_NOT_PARKED;
        resume(ctx, c, lua_gettop(c->owner) - 1);
        return;
    }
    resume_parked(ctx, c, c->parked == LD_AWAY ? LD_CLOSED : LD_OK, NULL);
}

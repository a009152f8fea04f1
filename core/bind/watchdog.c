/* watchdog.c -- see watchdog.h.
 *
 * All of it is static, as a signal handler can be given nothing.  That one may
 * come between any two instructions of the rest: a turn has ended before its
 * hook is looked after, and what it sets then is found there.
 */
#include "watchdog.h"

#include <errno.h>
#include <lauxlib.h>
#include <luajit.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define OURS "=linedancer"  /* how names of embedded modules begin */
#define PROFILE_MODE "li10" /* look at each line; each 10 ms */

static const double TICK = 0.01; /* seconds */
enum { GRACE = 2 };              /* ticks */

static struct {
    lua_State *L; /* whose state is watched, or NULL */
    lua_State *co;
    pid_t thread;                       /* where it runs */
    struct sigaction profiler;          /* LuaJIT's own handler */
    volatile sig_atomic_t limit, ticks; /* of this turn; limit 0: none */
    volatile sig_atomic_t armed;
    int turn; /* what a turn's limit is */
    bool running, suspended, raised, without_jit;
    const char *why;
} dog;

static _Atomic(const void *) claimed;

bool ld_watchdog_claim(const void *owner)
{
    const void *nobody = NULL;

    return atomic_compare_exchange_strong(&claimed, &nobody, owner) ||
           nobody == owner;
}

void ld_watchdog_release(const void *owner)
{
    atomic_compare_exchange_strong(&claimed, &owner, NULL);
}

static void disarm(lua_State *L)
{
    dog.armed = 0;
    lua_sethook(L, NULL, 0, 0);
}

static bool has_jit(lua_State *L)
{
    bool is_on;

    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_getfield(L, -1, "jit");
    lua_getfield(L, -1, "status");
    lua_call(L, 0, 1);
    is_on = lua_toboolean(L, -1);
    lua_pop(L, 3);
    return is_on;
}

/* A compiled loop may catch each error within: in the interpreter every
 * instruction comes here, also the one between two calls of pcall. */
static void leave_compiled_code(lua_State *L)
{
    if (dog.without_jit || !has_jit(L))
        return;
    dog.without_jit = true;
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_FLUSH);
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
}

/* Is it a function of ours that runs?  What others use, too, is not to be left
 * half done; but not for ever. */
static bool is_ours(lua_State *L, lua_Debug *ar)
{
    return dog.ticks <= dog.limit + GRACE && lua_getinfo(L, "S", ar) &&
           strncmp(ar->source, OURS, sizeof(OURS) - 1) == 0;
}

static void on_hook(lua_State *L, lua_Debug *ar)
{
    if (dog.limit == 0) {
        disarm(L);
        return;
    }
    if (is_ours(L, ar)) {
        leave_compiled_code(L); /* or its end would be missed */
        return;
    }
    if (L == dog.co && lua_isyieldable(L)) {
        dog.limit = 0;
        dog.suspended = true;
        disarm(L);
        lua_yield(L, 0);
        return;
    }
    if (dog.raised)
        leave_compiled_code(L);
    else
        disarm(L);
    dog.raised = true;
    luaL_error(L, "%s", dog.why);
}

/* The kernel gives it to any thread of a host.  The one that it is for may have
 * ended by now. */
static void on_tick(int number)
{
    int err = errno;

    if (gettid() != dog.thread) {
        tgkill(getpid(), dog.thread, number);
        errno = err;
        return;
    }
    dog.profiler.sa_handler(number);
    if (dog.limit == 0 || ++dog.ticks <= dog.limit || dog.armed)
        return;
    dog.armed = 1;
    lua_sethook(dog.L, on_hook, LUA_MASKCOUNT, 1);
}

static void on_sample(void *data, lua_State *L, int samples, int state)
{
    (void)data;
    (void)L;
    (void)samples;
    (void)state;
}

/* A tick may still be on its way when the last handler has gone: by default it
 * would end the process. */
static void ignore_late_ticks(void)
{
    struct sigaction now;

    if (sigaction(SIGPROF, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        signal(SIGPROF, SIG_IGN);
}

void ld_watchdog_start(lua_State *L)
{
    struct sigaction own = {.sa_handler = on_tick, .sa_flags = SA_RESTART};

    if (dog.L)
        return;
    dog.L = L;
    dog.thread = gettid();
    dog.limit = 0;
    ignore_late_ticks();
    luaJIT_profile_start(L, PROFILE_MODE, on_sample, NULL);
    sigaction(SIGPROF, &own, &dog.profiler);
}

void ld_watchdog_stop(void)
{
    if (!dog.L)
        return;
    sigaction(SIGPROF, &dog.profiler, NULL);
    luaJIT_profile_stop(dog.L);
    dog.L = NULL;
}

static int ticks_in(double seconds)
{
    return seconds > 0 ? (int)ceil(seconds / TICK) : 0;
}

void ld_watchdog_limit(double seconds)
{
    dog.turn = ticks_in(seconds);
}

void ld_watchdog_extend(double seconds)
{
    if (dog.limit > 0)
        dog.limit = ticks_in(seconds);
}

void ld_watchdog_strike(const char *why)
{
    if (!dog.L || !dog.running)
        return;
    dog.why = why;
    if (dog.limit == 0)
        dog.limit = 1;
    dog.ticks = dog.limit;
    dog.profiler.sa_handler(SIGPROF); /* compiled code is to look */
    dog.armed = 1;
    lua_sethook(dog.L, on_hook, LUA_MASKCOUNT, 1);
}

void ld_watchdog_begin(lua_State *co)
{
    dog.running = true;
    dog.why = LD_WATCHDOG_STOPPED;
    dog.co = co;
    dog.ticks = 0;
    dog.limit = dog.L ? dog.turn : 0;
}

bool ld_watchdog_end(lua_State *L)
{
    bool suspended = dog.suspended;

    dog.running = false;
    dog.limit = 0;
    if (dog.armed)
        disarm(L);
    if (dog.without_jit)
        luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_ON);
    dog.suspended = dog.raised = dog.without_jit = false;
    return suspended;
}

/* watchdog.h -- stops Lua that computes for too long.
 *
 * LuaJIT's profiler ticks with each 10 ms of processor time that this process
 * uses, and has compiled code look, line by line, whether it did.  After some
 * ticks in one turn a hook is set: if Lua may be suspended where it then is, it
 * is, and never resumed, so that no pcall can catch it; else an error is raised
 * there, and if Lua is not back after one more tick, again and again, without
 * compiled code, until it is.  Time within C functions cannot be cut short:
 * that is for the supervisor.
 *
 * The profiler, and SIGPROF, are one per process, and so is this.
 */
#ifndef LD_WATCHDOG_H
#define LD_WATCHDOG_H

#include <lua.h>
#include <stdbool.h>

#include "api.h"

/* How the message begins of what it raises; see linedancer.errors. */
#define LD_WATCHDOG_STOPPED "computed for too long without waiting"

/* Keep it for OWNER, if it is nobody's, or OWNER's already; and give it back. A
 * process with but one gateway need not. */
bool ld_watchdog_claim(const void *owner);
void ld_watchdog_release(const void *owner);

/* Watch the Lua of L's state, of which L is the main thread, in this thread of
 * the process, unless one is watched. */
void ld_watchdog_start(lua_State *L);
void ld_watchdog_stop(void);

/* How many seconds a turn may have from now on; 0: any. */
void ld_watchdog_limit(double seconds);

/* Stop what runs now, as if its time were up, for the reason WHY, a constant.
 * From anywhere, but not for each byte. */
void ld_watchdog_strike(const char *why);

/* The turn that is under way may take SECONDS; if it has a limit at all. */
void ld_watchdog_extend(double seconds);

/* Lua runs: in the coroutine CO, or, if that is NULL, where it cannot be
 * suspended.  Calls may not nest. */
void ld_watchdog_begin(lua_State *co);

/* It is back.  True if it was suspended, for ever, where it was. */
bool ld_watchdog_end(lua_State *L);

#endif

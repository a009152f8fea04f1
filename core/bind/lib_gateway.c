/* lib_gateway.c -- the part of linedancer.core that runs the loop, and says
 * what this process is.  A plain luajit has no loop.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <lauxlib.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "../linedancer.h"
#include "../notify.h"
#include "../plan.h"
#include "budget.h"
#include "gateway_parts.h"
#include "lib_core.h"
#include "vm.h"
#include "watchdog.h"

struct ld_vm *ld_gateway_vm(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);

    if (!vm->worker)
        luaL_error(L, "there is no gateway in this process");
    return vm;
}

/* From the first limit on, also that of MEMORY, there is a watchdog; L may be
 * any coroutine. */
static void limit_turns(lua_State *L, double seconds, double memory)
{
    struct ld_vm *vm = ld_gateway_vm(L);

    if ((seconds > 0 || memory > 0) && ld_gateway_role(L)->watchdog) {
        ld_watchdog_start(vm->L);
        vm->watched = true;
    }
    if (vm->watched)
        ld_watchdog_limit(seconds);
}

/* core.extend_turn(seconds): what is being done now may compute for so long. */
static int l_extend_turn(lua_State *L)
{
    double seconds = luaL_checknumber(L, 1);

    if (ld_vm_of(L)->watched)
        ld_watchdog_extend(seconds);
    return 0;
}

/* core.heed(drain, connections, turn, memory): the limits of core.run() change,
 * and new ports accept. */
static int l_heed(lua_State *L)
{
    struct ld_vm *vm = ld_gateway_vm(L);

    vm->drain_seconds = luaL_checknumber(L, 1);
    vm->max_accepted = (uint32_t)luaL_checknumber(L, 2);
    limit_turns(L, luaL_optnumber(L, 3, 0), luaL_optnumber(L, 4, 0));
    ld_budget_limit(vm, luaL_optnumber(L, 4, 0));
    ld_gateway_heed_ports(vm);
    return 0;
}

/* core.run(drain, connections, turn, memory): accept at most CONNECTIONS at a
 * time and
 * serve until the gateway is stopped; DRAIN is how many seconds connections
 * then have to finish, TURN how long Lua may compute without waiting (0: for
 * ever), MEMORY how many bytes may be used (0: any number). */
static int l_run(lua_State *L)
{
    struct ld_vm *vm = ld_gateway_vm(L);
    lua_State *outer = vm->L;

    l_heed(L);
    vm->L = L;
    if (ld_gateway_role(L)->kind == LD_ROLE_WORKER)
        ld_bus_start(ld_gateway_role(L)->bus);
    if (ld_gateway_role(L)->plan)
        ld_notify("READY=1"); /* workers have a supervisor who says so */
    ev_run(vm->worker->loop, 0);
    vm->L = outer;
    if (vm->watched)
        ld_watchdog_stop();
    vm->watched = false;
    return 0;
}

/* core.stop(): as ld_gateway_stop() */
static int l_stop(lua_State *L)
{
    ld_gateway_drain(ld_gateway_vm(L)->gateway);
    return 0;
}

/* core.role() -> "alone", "plan" or "worker"; and is the plan for a gateway
 * that runs? */
static int l_role(lua_State *L)
{
    static const char *const names[] = {"alone", "plan", "worker"};

    lua_pushstring(L, names[ld_gateway_role(L)->kind]);
    lua_pushboolean(L, !!ld_gateway_role(L)->former);
    return 2;
}

/* core.propose(text): write the plan that this process is for. */
static int l_propose(lua_State *L)
{
    int fd = ld_gateway_role(L)->plan_fd;
    size_t len;
    const char *p = luaL_checklstring(L, 1, &len);

    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno != EINTR)
            return luaL_error(L, "cannot write: %s", strerror(errno));
        p += n > 0 ? n : 0;
        len -= (size_t)(n > 0 ? n : 0);
    }
    return 0;
}

/* core.plan() -> in a worker, the text that was proposed, and the number of its
 * version; the same in a program without workers; in a process that plans
 * anew, what holds; else nil */
static int l_plan(lua_State *L)
{
    const struct ld_role *role = ld_gateway_role(L);

    if (role->former || role->plan) {
        const struct ld_plan *p = role->former ? role->former : role->plan;

        lua_pushlstring(L, p->text, p->size);
        lua_pushnumber(L, 1);
        return 2;
    }
    if (role->kind != LD_ROLE_WORKER)
        return 0;
    lua_pushlstring(L, role->seat->plan, role->seat->plan_size);
    lua_pushnumber(L, role->seat->version);
    return 2;
}

/* core.join(seconds): in a worker, be told by the supervisor what is so. */
static int l_join(lua_State *L)
{
    struct ld_vm *vm = ld_gateway_vm(L);
    lua_State *outer = vm->L;
    enum ld_status st;

    vm->L = L;
    st = ld_bus_join(ld_gateway_role(L)->bus, luaL_checknumber(L, 1));
    vm->L = outer;
    if (st)
        return luaL_error(L, "no word of the supervisor: %s", ld_strstatus(st));
    return 0;
}

static const luaL_Reg gateway[] = {

    {"run", l_run},   {"heed", l_heed}, {"extend_turn", l_extend_turn},
    {"stop", l_stop}, {"role", l_role}, {"propose", l_propose},
    {"plan", l_plan}, {"join", l_join}, {NULL, NULL}};

void ld_lib_gateway(lua_State *L)
{
    luaL_register(L, NULL, gateway);
}

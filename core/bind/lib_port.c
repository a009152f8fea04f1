/* lib_port.c -- the part of linedancer.core that opens listeners, changes and
 * closes them, and gives what they accept to handlers.
 */
#include <errno.h>
#include <lauxlib.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../activation.h"
#include "../plan.h"
#include "lib_core.h"
#include "port.h"

static const double HANDSHAKE = 10; /* seconds */

static struct ld_address read_address(lua_State *L, int t)
{
    struct ld_address at = {.family = AF_INET};
    const char *family;

    lua_getfield(L, t, "family");
    lua_getfield(L, t, "host");
    lua_getfield(L, t, "path");
    family = luaL_checkstring(L, -3);
    at.family = strcmp(family, "unix") == 0   ? AF_UNIX
                : strcmp(family, "ipv6") == 0 ? AF_INET6
                                              : AF_INET;
    at.host = lua_tostring(L, -2);
    at.path = lua_tostring(L, -1);
    at.port = (uint16_t)ld_lib_number(L, t, "port", 0);
    at.mode = (unsigned)ld_lib_number(L, t, "mode", 0);
    luaL_argcheck(L, at.family == AF_UNIX ? !!at.path : !!at.host, t,
                  "host or path missing");
    return at; /* the strings stay on the stack */
}

/* The socket of SLOT for the listener that is the INDEX-th of the config: one
 * that has been given since, or was inherited; -1: none. */
static int find_socket(const struct ld_seat *seat, const struct ld_vm *vm,
                       uint32_t index, uint32_t slot)
{
    for (uint32_t i = 0; i < vm->given_count; i++)
        if (vm->given[i].listener == index && vm->given[i].slot == slot)
            return dup(vm->given[i].fd);
    if (vm->given_count > 0 || index >= seat->listeners)
        return -1;
    return seat->sockets[index * seat->slots + slot - 1];
}

/* What was bound for the INDEX-th listener, before this process gave up what it
 * takes; that is done once.  It is ours to remove. */
static struct ld_listener *take_bound(const struct ld_role *role,
                                      const struct ld_vm *vm,
                                      const struct ld_address *at,
                                      uint32_t index)
{
    struct ld_listener *l =
        ld_listener_adopt(vm->worker->loop, role->sockets[index], vm->log);
    bool is_own =
        at->family == AF_UNIX && !ld_activation_has(role->activated, at);

    if (l)
        role->sockets[index] = -1;
    if (l && is_own)
        ld_listener_keep(l, at->path);
    return l;
}

static struct ld_listener *open_alone(const struct ld_role *role,
                                      const struct ld_vm *vm,
                                      const struct ld_address *at, int backlog,
                                      uint32_t index)
{
    struct ev_loop *loop = vm->worker->loop;
    int fd;

    if (role->plan && index < role->plan->listener_count &&
        role->sockets[index] >= 0)
        return take_bound(role, vm, at, index);
    fd = ld_activation_find(role->activated, at, backlog);
    return fd < 0 ? ld_listener_open(loop, at, backlog, vm->log)
                  : ld_listener_adopt(loop, fd, vm->log);
}

/* PORT's sockets: its own, or, in a worker, those that it inherited. */
static enum ld_status open_port(lua_State *L, struct ld_port *port,
                                const struct ld_address *at, int backlog,
                                uint32_t index)
{
    const struct ld_role *role = ld_gateway_role(L);
    struct ld_vm *vm = port->vm;
    uint32_t own = role->kind == LD_ROLE_WORKER ? role->seat->slot - 1 : 0;
    struct ev_loop *loop = vm->worker->loop;

    port->count = role->kind == LD_ROLE_WORKER ? role->seat->slots : 1;
    port->listeners = calloc(port->count, sizeof(struct ld_listener *));
    port->watched = calloc(port->count, sizeof(bool));
    if (!port->listeners || !port->watched)
        return LD_NOMEM;
    for (uint32_t i = 0; i < port->count; i++)
        port->watched[i] = i == own || (i < LD_WORKERS_MAX && vm->keeps[i]);
    if (role->kind == LD_ROLE_ALONE) {
        port->listeners[0] = open_alone(role, vm, at, backlog, index);
        return port->listeners[0] ? LD_OK : LD_ERROR;
    }
    for (uint32_t i = 0; i < port->count; i++) {
        int fd;

        if (i != own && at->family == AF_UNIX)
            continue; /* one for all */
        fd = find_socket(role->seat, vm, index, i + 1);
        if (fd < 0) {
            errno = EADDRNOTAVAIL; /* the config says more than it did */
            return LD_ERROR;
        }
        port->listeners[i] = ld_listener_adopt(loop, fd, vm->log);
        if (!port->listeners[i])
            return LD_NOMEM;
    }
    return LD_OK;
}

static void close_port(struct ld_port *port)
{
    for (uint32_t i = 0; port->listeners && i < port->count; i++)
        ld_listener_close(port->listeners[i]);
    free(port->listeners);
    port->listeners = NULL;
}

static void free_port(struct ld_port *port)
{
    close_port(port);
    ld_tls_context_unref(port->tls);
    free(port->proxies);
    free(port->watched);
    free(port);
}

static uint16_t port_number(const struct ld_port *port)
{
    for (uint32_t i = 0; i < port->count; i++)
        if (port->watched[i])
            return ld_listener_port(port->listeners[i]);
    return 0;
}

/* Have PORT's place: that of one whose connections have all gone, or a new
 * one. */
static enum ld_status place_port(struct ld_vm *vm, struct ld_port *port)
{
    struct ld_port **grown;
    uint32_t i = 0;

    while (i < vm->port_count &&
           (vm->ports[i]->listeners || vm->ports[i]->open))
        i++;
    if (i == UINT16_MAX)
        return LD_LIMIT;
    if (i < vm->port_count) {
        free_port(vm->ports[i]);
    } else {
        grown = realloc(vm->ports, (i + 1) * sizeof(struct ld_port *));
        if (!grown)
            return LD_NOMEM;
        vm->ports = grown;
        vm->port_count++;
    }
    vm->ports[i] = port;
    port->index = (uint16_t)(i + 1);
    return LD_OK;
}

/* The networks of proxies in the table at 1: 17 bytes each, see network.h. */
static void set_proxies(lua_State *L, struct ld_port *port)
{
    size_t size = 0;
    const char *p;

    free(port->proxies);
    port->proxies = NULL;
    lua_getfield(L, 1, "proxies");
    p = lua_tolstring(L, -1, &size);
    port->proxy_count = size / sizeof(struct ld_network);
    if (p && size > 0) {
        port->proxies = malloc(size);
        if (!port->proxies)
            luaL_error(L, "out of memory");
        memcpy(port->proxies, p, size);
    }
    lua_getfield(L, 1, "direct");
    port->direct = lua_toboolean(L, -1);
}

/* The machine and the limits in the table at 1. */
static void set_port(lua_State *L, struct ld_port *port)
{
    lua_getfield(L, 1, "machine");
    port->machine = lua_touserdata(L, -1);
    port->trial = NULL;
    lua_getfield(L, 1, "exempt");
    port->exempt = lua_toboolean(L, -1);
    port->max = (uint32_t)ld_lib_number(L, 1, "max", UINT32_MAX);
    ld_tls_context_unref(port->tls);
    lua_getfield(L, 1, "tls");
    port->tls = ld_lib_tls(L, -1);
    lua_getfield(L, 1, "on_demand");
    port->on_demand = lua_toboolean(L, -1);
    port->patience = ld_lib_number(L, 1, "handshake", HANDSHAKE);
    set_proxies(L, port);
}

/* core.listen{ family=, host=, port=, path=, mode=, backlog=, max=, machine=,
 * exempt=, tls= (of core.tls_context()), on_demand=, handshake= (seconds),
 * proxies=, direct=, index= (of the config's listeners, from 1) } -> number,
 * port really bound | nil, message. Nothing is accepted before core.run(), or
 * core.heed(). */
static int l_listen(lua_State *L)
{
    struct ld_vm *vm = ld_gateway_vm(L);
    struct ld_address at;
    struct ld_port *port;
    int backlog;

    luaL_checktype(L, 1, LUA_TTABLE);
    backlog = (int)ld_lib_number(L, 1, "backlog", 1024);
    at = read_address(L, 1);
    port = calloc(1, sizeof(*port));
    if (!port)
        return luaL_error(L, "out of memory");
    port->vm = vm;
    if (open_port(L, port, &at, backlog,
                  (uint32_t)ld_lib_number(L, 1, "index", 1) - 1) ||
        place_port(vm, port)) {
        lua_pushnil(L);
        lua_pushstring(L, strerror(errno));
        free_port(port);
        return 2;
    }
    set_port(L, port);
    lua_pushinteger(L, port->index);
    lua_pushinteger(L, port_number(port));
    return 2;
}

static struct ld_port *check_port(lua_State *L, struct ld_vm *vm, lua_Number n)
{
    luaL_argcheck(L, n >= 1 && n <= vm->port_count, 1, "no such port");
    return vm->ports[(uint32_t)n - 1];
}

/* core.relisten{ number=, machine=, max=, exempt=, tls=, on_demand=,
 * handshake=, proxies=, direct= }: what is accepted from now on. */
static int l_relisten(lua_State *L)
{
    struct ld_vm *vm = ld_gateway_vm(L);

    luaL_checktype(L, 1, LUA_TTABLE);
    set_port(L, check_port(L, vm, ld_lib_number(L, 1, "number", 0)));
    return 0;
}

/* core.unlisten(number): accept nothing more there; connections live on. */
static int l_unlisten(lua_State *L)
{
    struct ld_vm *vm = ld_gateway_vm(L);

    close_port(check_port(L, vm, luaL_checknumber(L, 1)));
    return 0;
}

void ld_gateway_heed_ports(struct ld_vm *vm)
{
    for (uint32_t i = 0; !vm->stopping && i < vm->port_count; i++) {
        ld_port_look(vm->ports[i]);
        ld_port_heed(vm->ports[i]);
    }
}

/* core.port(number) -> connections, most of them, is it full? */
static int l_port(lua_State *L)
{
    struct ld_vm *vm = ld_gateway_vm(L);
    const struct ld_port *port = check_port(L, vm, luaL_checknumber(L, 1));

    lua_pushinteger(L, (lua_Integer)port->open);
    lua_pushnumber(L, port->max);
    lua_pushboolean(L, port->paused);
    return 3;
}

/* core.trial(number, machine, share): SHARE of 1000 clients that come are for
 * MACHINE (nil: none). */
static int l_trial(lua_State *L)
{
    struct ld_vm *vm = ld_gateway_vm(L);
    struct ld_port *port = check_port(L, vm, luaL_checknumber(L, 1));

    port->trial = lua_touserdata(L, 2);
    port->share = (uint32_t)luaL_optnumber(L, 3, 0);
    port->credit = 0;
    return 0;
}

/* core.pause(number, on): accept nothing there, or again; clients wait in the
 * kernel's queue. */
static int l_pause(lua_State *L)
{
    struct ld_vm *vm = ld_gateway_vm(L);
    struct ld_port *port = check_port(L, vm, luaL_checknumber(L, 1));

    port->held = lua_toboolean(L, 2);
    ld_port_heed(port);
    return 0;
}

void ld_gateway_give(struct ld_vm *vm, uint32_t listener, uint32_t slot, int fd)
{
    struct ld_given *grown =
        realloc(vm->given, (vm->given_count + 1) * sizeof(*grown));

    if (!grown) {
        close(fd);
        return;
    }
    vm->given = grown;
    vm->given[vm->given_count++] = (struct ld_given){listener, slot, fd};
}

/* core.take_back(): forget the sockets that the supervisor gave. */
static int l_take_back(lua_State *L)
{
    struct ld_vm *vm = ld_gateway_vm(L);

    for (uint32_t i = 0; i < vm->given_count; i++)
        close(vm->given[i].fd);
    free(vm->given);
    vm->given = NULL;
    vm->given_count = 0;
    return 0;
}

void ld_gateway_watch(struct ld_vm *vm, uint32_t slot, bool on)
{
    if (vm->stopping || slot == vm->slot || slot > LD_WORKERS_MAX)
        return;
    vm->keeps[slot - 1] = on;
    for (uint32_t i = 0; i < vm->port_count; i++) {
        if (slot - 1 >= vm->ports[i]->count)
            continue;
        vm->ports[i]->watched[slot - 1] = on;
        ld_port_heed(vm->ports[i]);
    }
}

void ld_gateway_close_ports(struct ld_vm *vm)
{
    vm->stopping = true;
    for (uint32_t i = 0; i < vm->port_count; i++) {
        if (!vm->ports[i]->exempt)
            close_port(vm->ports[i]);
    }
}

void ld_gateway_leave_ports(struct ld_vm *vm)
{
    for (uint32_t i = 0; i < vm->port_count; i++)
        close_port(vm->ports[i]);
}

void ld_gateway_free_ports(struct ld_vm *vm)
{
    ld_handshakes_end(&vm->handshakes, NULL);
    for (uint32_t i = 0; i < vm->port_count; i++)
        free_port(vm->ports[i]);
    free(vm->ports);
    vm->ports = NULL;
    vm->port_count = 0;
}

static const luaL_Reg port_functions[] = {
    {"listen", l_listen},       {"relisten", l_relisten},
    {"unlisten", l_unlisten},   {"port", l_port},
    {"pause", l_pause},         {"trial", l_trial},
    {"take_back", l_take_back}, {NULL, NULL}};

void ld_lib_port(lua_State *L)
{
    luaL_register(L, NULL, port_functions);
}

void ld_gateway_forget_ports(struct ld_vm *vm)
{
    struct ld_pool *pool = vm->pool;

    for (uint32_t i = 0; i < vm->port_count; i++)
        for (uint32_t k = 0; vm->ports[i]->listeners && k < vm->ports[i]->count;
             k++)
            if (vm->ports[i]->listeners[k])
                close(ld_listener_fd(vm->ports[i]->listeners[k]));
    for (uint32_t i = 0; i < ld_pool_slots(pool); i++) {
        struct ld_conn *c = ld_pool_at(pool, i);

        if (c->phase != LD_PHASE_FREE && !c->task)
            close(c->link.fd);
    }
}

/* lib_gateway.c -- the part of linedancer.core that opens listeners and runs
 * the loop.  A plain luajit has no loop.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <lauxlib.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway.h"
#include "lib_core.h"
#include "vm.h"

/* A listener and what it is for.  A worker has a socket of each slot and
 * accepts on its own, and on those of workers that cannot. */
struct ld_port {
    struct ld_listener **listeners; /* NULL: none, or not opened yet */
    bool *watched;                  /* those to accept on */
    uint32_t count;                 /* of both: slots, or 1 */
    struct ld_machine *machine;
    struct ld_vm *vm;
    uint32_t max, open; /* connections */
    uint16_t index;
    bool paused;
};

static struct ld_vm *with_worker(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);

    if (!vm->worker)
        luaL_error(L, "there is no gateway in this process");
    return vm;
}

static void remember_peer(struct ld_conn *c, const struct sockaddr_storage *sa)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;

    if (sa->ss_family != AF_INET)
        return;
    c->peer_host = v4->sin_addr.s_addr;
    c->peer_port = v4->sin_port;
}

static bool is_full(const struct ld_port *port)
{
    return port->open >= port->max ||
           port->vm->accepted >= port->vm->max_accepted;
}

static void on_accept(void *ctx, int fd, const struct sockaddr_storage *peer);

/* Accept on what is to be watched, unless PORT is full. */
static void heed_port(struct ld_port *port)
{
    for (uint32_t i = 0; i < port->count; i++) {
        if (!port->listeners[i])
            continue;
        if (port->watched[i] && !port->paused)
            ld_listener_start(port->listeners[i], on_accept, port);
        else
            ld_listener_pause(port->listeners[i]);
    }
}

/* A full listener lets its clients wait in the kernel's queue. */
static void heed_limits(struct ld_vm *vm)
{
    for (uint32_t i = 0; i < vm->port_count; i++) {
        struct ld_port *port = vm->ports[i];

        if (port->paused == is_full(port))
            continue;
        port->paused = !port->paused;
        heed_port(port);
    }
}

static void on_accept(void *ctx, int fd, const struct sockaddr_storage *peer)
{
    struct ld_port *port = ctx;
    struct ld_link link = {.transport = &ld_sock, .fd = fd};
    struct ld_conn *c = ld_vm_connect(port->vm, link, port->machine);

    if (!c) {
        ld_sock.close(&link, true);
        ld_log(port->vm->log, LD_FAULT, "connection refused", "error=\"%s\"",
               strerror(errno));
        return;
    }
    c->listener = port->index;
    remember_peer(c, peer);
    port->open++;
    port->vm->accepted++;
    heed_limits(port->vm);
    ld_log(port->vm->log, LD_DEBUG, "connection opened", "conn=%u.%u open=%u",
           c->slot, c->generation, port->vm->pool->open);
    ld_conn_begin(c);
}

void ld_gateway_conn_closed(struct ld_vm *vm, const struct ld_conn *c)
{
    if (c->listener == 0)
        return;
    vm->ports[c->listener - 1]->open--;
    vm->accepted--;
    if (!vm->stopping)
        heed_limits(vm);
}

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
    luaL_argcheck(L, at.family == AF_UNIX ? !!at.path : !!at.host, t,
                  "host or path missing");
    return at; /* the strings stay on the stack */
}

/* PORT's sockets: its own, or, in a worker, those that it inherited. */
static enum ld_status open_port(lua_State *L, struct ld_port *port,
                                const struct ld_address *at, int backlog)
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
    port->watched[own] = true;
    if (role->kind == LD_ROLE_ALONE) {
        port->listeners[0] = ld_listener_open(loop, at, backlog, vm->log);
        return port->listeners[0] ? LD_OK : LD_ERROR;
    }
    if (vm->port_count >= role->seat->listeners) {
        errno = EADDRNOTAVAIL; /* the config says more than it did at first */
        return LD_ERROR;
    }
    for (uint32_t i = 0; i < port->count; i++) {
        int *sockets =
            (int *)&role->seat->sockets[vm->port_count * port->count];

        if (i != own && sockets[i] == sockets[own])
            continue; /* a unix socket is one for all */
        port->listeners[i] = ld_listener_adopt(loop, sockets[i], vm->log);
        if (!port->listeners[i])
            return LD_NOMEM;
    }
    return LD_OK;
}

static void free_port(struct ld_port *port)
{
    for (uint32_t i = 0; port->listeners && i < port->count; i++)
        ld_listener_close(port->listeners[i]);
    free(port->listeners);
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

/* core.listen{ family=, host=, port=, path=, backlog=, max=, machine= } ->
 * index, port really bound | nil, message */
static int l_listen(lua_State *L)
{
    struct ld_vm *vm = with_worker(L);
    struct ld_address at;
    struct ld_port *port, **grown;
    int backlog;

    luaL_checktype(L, 1, LUA_TTABLE);
    backlog = (int)ld_lib_number(L, 1, "backlog", 1024);
    at = read_address(L, 1);
    grown = realloc(vm->ports, (vm->port_count + 1) * sizeof(struct ld_port *));
    if (!grown)
        return luaL_error(L, "out of memory");
    vm->ports = grown;
    port = calloc(1, sizeof(*port));
    if (!port)
        return luaL_error(L, "out of memory");
    port->vm = vm;
    if (open_port(L, port, &at, backlog)) {
        lua_pushnil(L);
        lua_pushstring(L, strerror(errno));
        free_port(port);
        return 2;
    }
    lua_getfield(L, 1, "machine");
    port->machine = lua_touserdata(L, -1);
    port->max = (uint32_t)ld_lib_number(L, 1, "max", UINT32_MAX);
    vm->ports[vm->port_count++] = port;
    port->index = (uint16_t)vm->port_count;
    lua_pushinteger(L, port->index);
    lua_pushinteger(L, port_number(port));
    return 2;
}

void ld_gateway_watch(struct ld_vm *vm, uint32_t slot, bool on)
{
    if (vm->stopping || slot == vm->slot)
        return;
    for (uint32_t i = 0; i < vm->port_count; i++) {
        if (slot - 1 >= vm->ports[i]->count)
            continue;
        vm->ports[i]->watched[slot - 1] = on;
        heed_port(vm->ports[i]);
    }
}

void ld_gateway_close_ports(struct ld_vm *vm)
{
    vm->stopping = true;
    for (uint32_t i = 0; i < vm->port_count; i++) {
        struct ld_port *port = vm->ports[i];

        for (uint32_t slot = 0; slot < port->count; slot++) {
            ld_listener_close(port->listeners[slot]);
            port->listeners[slot] = NULL;
        }
    }
}

void ld_gateway_free_ports(struct ld_vm *vm)
{
    for (uint32_t i = 0; i < vm->port_count; i++)
        free_port(vm->ports[i]);
    free(vm->ports);
    vm->ports = NULL;
    vm->port_count = 0;
}

/* core.run(drain, connections): accept at most CONNECTIONS at a time and serve
 * until the gateway is stopped; DRAIN is how many seconds connections then
 * have to finish. */
static int l_run(lua_State *L)
{
    struct ld_vm *vm = with_worker(L);
    lua_State *outer = vm->L;

    vm->drain_seconds = luaL_checknumber(L, 1);
    vm->max_accepted = (uint32_t)luaL_checknumber(L, 2);
    if (!vm->stopping)
        for (uint32_t i = 0; i < vm->port_count; i++)
            heed_port(vm->ports[i]);
    vm->L = L;
    if (ld_gateway_role(L)->kind == LD_ROLE_WORKER)
        ld_bus_start(ld_gateway_role(L)->bus);
    ev_run(vm->worker->loop, 0);
    vm->L = outer;
    return 0;
}

/* Push SA as an address in the config's notation, or nil. */
static int push_address(lua_State *L, const struct sockaddr_storage *sa)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;
    char text[INET6_ADDRSTRLEN];

    if (sa->ss_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
        lua_pushfstring(L, "%s:%d", text, ntohs(v4->sin_port));
    } else if (sa->ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
        lua_pushfstring(L, "[%s]:%d", text, ntohs(v6->sin6_port));
    } else if (sa->ss_family == AF_UNIX) {
        lua_pushliteral(L, "unix:");
    } else {
        lua_pushnil(L);
    }
    return 1;
}

static struct ld_conn *check_conn(lua_State *L, struct ld_vm *vm)
{
    return ld_conn_find(vm->pool, (int64_t)luaL_checknumber(L, 1));
}

/* core.peer(handle) -> address or nil */
static int l_peer(lua_State *L)
{
    struct ld_conn *c = check_conn(L, ld_vm_of(L));
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);

    if (!c)
        return 0;
    if (c->link.fd < 0 && c->link.transport != &ld_sock) {
        lua_pushstring(L, c->link.transport->name);
        return 1;
    }
    if (c->peer_port) {
        struct sockaddr_in v4 = {.sin_family = AF_INET,
                                 .sin_port = c->peer_port,
                                 .sin_addr = {c->peer_host}};

        memcpy(&sa, &v4, sizeof(v4));
    } else if (getpeername(c->link.fd, (struct sockaddr *)&sa, &len) < 0) {
        return 0;
    }
    return push_address(L, &sa);
}

/* core.local_address(handle) -> address or nil */
static int l_local_address(lua_State *L)
{
    struct ld_conn *c = check_conn(L, ld_vm_of(L));
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);

    if (!c || getsockname(c->link.fd, (struct sockaddr *)&sa, &len) < 0)
        return 0;
    return push_address(L, &sa);
}

/* core.role() -> "alone", "plan" or "worker" */
static int l_role(lua_State *L)
{
    static const char *const names[] = {"alone", "plan", "worker"};

    lua_pushstring(L, names[ld_gateway_role(L)->kind]);
    return 1;
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

/* core.plan() -> the text that was proposed, in a worker; else nil */
static int l_plan(lua_State *L)
{
    const struct ld_role *role = ld_gateway_role(L);

    if (role->kind != LD_ROLE_WORKER)
        return 0;
    lua_pushlstring(L, role->seat->plan, role->seat->plan_size);
    return 1;
}

/* core.join(seconds): in a worker, be told by the supervisor what is so. */
static int l_join(lua_State *L)
{
    struct ld_vm *vm = with_worker(L);
    lua_State *outer = vm->L;
    enum ld_status st;

    vm->L = L;
    st = ld_bus_join(ld_gateway_role(L)->bus, luaL_checknumber(L, 1));
    vm->L = outer;
    if (st)
        return luaL_error(L, "no word of the supervisor: %s", ld_strstatus(st));
    return 0;
}

/* core.executable() -> the path of the program */
static int l_executable(lua_State *L)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path));

    lua_pushlstring(L, path, n > 0 ? (size_t)n : 0);
    return 1;
}

static const luaL_Reg gateway[] = {{"listen", l_listen},
                                   {"run", l_run},
                                   {"peer", l_peer},
                                   {"local_address", l_local_address},
                                   {"executable", l_executable},
                                   {"role", l_role},
                                   {"propose", l_propose},
                                   {"plan", l_plan},
                                   {"join", l_join},
                                   {NULL, NULL}};

void ld_lib_gateway(lua_State *L)
{
    luaL_register(L, NULL, gateway);
}

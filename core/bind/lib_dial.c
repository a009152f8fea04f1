/* lib_dial.c -- the part of linedancer.core that makes outgoing connections.
 *
 * The dialer is made by the first call and goes with the Lua state.  The
 * environment's LINEDANCER_RESOLVER, "IP:PORT,...", names other DNS servers
 * than the system's.
 */
#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../dial.h"
#include "lib_core.h"
#include "vm.h"

#define REQUEST "linedancer.dial"

static const char dialer_key; /* its address is the registry key */

/* A userdata: what Lua knows a dial by. */
struct request {
    struct ld_dial *dial; /* NULL: over */
    struct ld_vm *vm;
    struct ld_machine *machine;
    int64_t parent; /* handle */
    int done_ref, self_ref;
};

static int free_dialer(lua_State *L)
{
    struct ld_dialer **box = lua_touserdata(L, 1);

    ld_dialer_free(*box);
    *box = NULL;
    return 0;
}

static struct ld_dialer *make_dialer(lua_State *L, struct ld_vm *vm)
{
    const char *servers = getenv("LINEDANCER_RESOLVER");
    struct ld_dialer **box;

    lua_pushlightuserdata(L, (void *)&dialer_key);
    box = lua_newuserdata(L, sizeof(struct ld_dialer *));
    *box = ld_dialer_new(vm->worker->loop, vm->log);
    if (!*box)
        luaL_error(L, "no dialer: %s", strerror(errno));
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, free_dialer);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
    if (servers && *servers)
        ld_dialer_servers(*box, servers);
    return *box;
}

static struct ld_dialer *dialer_of(lua_State *L, struct ld_vm *vm)
{
    struct ld_dialer **box;

    lua_pushlightuserdata(L, (void *)&dialer_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    box = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return box ? *box : make_dialer(L, vm);
}

static void forget(struct request *r)
{
    lua_State *L = r->vm->L;

    r->dial = NULL;
    luaL_unref(L, LUA_REGISTRYINDEX, r->done_ref);
    luaL_unref(L, LUA_REGISTRYINDEX, r->self_ref); /* may be collected now */
}

/* Push the connection over FD, or nil, status and message. */
static int push_outcome(struct request *r, enum ld_status st, int fd,
                        const char *message)
{
    struct ld_link link = {.transport = &ld_sock, .fd = fd};
    struct ld_conn *parent = ld_conn_find(r->vm->pool, r->parent), *c = NULL;
    lua_State *L = r->vm->L;

    if (!st && parent)
        c = ld_vm_adopt(r->vm, link, r->machine, parent);
    if (c) {
        ld_vm_push_conn(r->vm, c);
        return 1;
    }
    if (!st) {
        st = parent ? LD_NOMEM : LD_CLOSED;
        message = NULL;
        close(fd);
    }
    lua_pushnil(L);
    lua_pushstring(L, ld_strstatus(st));
    lua_pushstring(L, message);
    return 3;
}

static void on_done(void *ctx, enum ld_status st, int fd, const char *message)
{
    struct request *r = ctx;
    struct ld_vm *vm = r->vm;
    lua_State *L = vm->L;
    int count;

    lua_rawgeti(L, LUA_REGISTRYINDEX, r->done_ref);
    count = push_outcome(r, st, fd, message);
    forget(r);
    if (lua_pcall(L, count, 0, 0)) {
        ld_log(vm->log, LD_FAULT, "connect failed", "error=\"%s\"",
               lua_tostring(L, -1));
        lua_pop(L, 1);
    }
}

static const char *text_field(lua_State *L, const char *key)
{
    const char *text;

    lua_getfield(L, 1, key);
    text = lua_tostring(L, -1);
    lua_pop(L, 1); /* the table keeps it */
    return text;
}

static struct ld_dial_target read_target(lua_State *L)
{
    struct ld_dial_target to = {
        .path = text_field(L, "path"),
        .source = text_field(L, "source"),
        .device = text_field(L, "device"),
        .port = (uint16_t)ld_lib_number(L, 1, "port", 0),
        .source_port = (uint16_t)ld_lib_number(L, 1, "source_port", 0),
        .timeout = ld_lib_number(L, 1, "timeout", 10),
    };

    if (!to.path)
        to.host = text_field(L, "host");
    luaL_argcheck(L, to.path || to.host, 1, "host or path missing");
    return to;
}

static int refuse(lua_State *L, enum ld_status st, const char *message)
{
    lua_pushnil(L);
    lua_pushstring(L, ld_strstatus(st));
    lua_pushstring(L, message);
    return 3;
}

/* core.dial({ host=, port= | path=, source=, source_port=, device=, timeout=
 * }, machine, parent, done) -> a dial | nil, status, message.  DONE(conn) or
 * DONE(nil, status, message) is called once, later.  The connection is of
 * MACHINE and belongs to PARENT, a handle. */
static int l_dial(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_dial_target to;
    struct ld_dialer *dialer;
    struct request *r;
    int err;

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TLIGHTUSERDATA);
    luaL_checktype(L, 4, LUA_TFUNCTION);
    to = read_target(L);
    if (!vm->worker)
        return refuse(L, LD_UNREACHABLE,
                      "there is no gateway, and so no "
                      "network, in this process");
    dialer = dialer_of(L, vm);
    r = lua_newuserdata(L, sizeof(*r));
    *r = (struct request){.vm = vm,
                          .machine = lua_touserdata(L, 2),
                          .parent = (int64_t)luaL_checknumber(L, 3),
                          .done_ref = LUA_NOREF};
    luaL_getmetatable(L, REQUEST);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    r->self_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, 4);
    r->done_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    r->dial = ld_dial_start(dialer, &to, on_done, r);
    if (r->dial)
        return 1;
    err = errno;
    forget(r);
    if (err == EAGAIN)
        return refuse(L, LD_LIMIT, "too many connections are being made");
    return refuse(L, err == ENOMEM ? LD_NOMEM : LD_ERROR, strerror(err));
}

/* core.dial_cancel(dial): its DONE is not called.  Nothing when it was. */
static int l_dial_cancel(lua_State *L)
{
    struct request *r = luaL_checkudata(L, 1, REQUEST);

    if (!r->dial)
        return 0;
    ld_dial_cancel(r->dial);
    forget(r);
    return 0;
}

static bool has_input(const struct ld_conn *c)
{
    char byte;

    return c->link.transport == &ld_sock &&
           (recv(c->link.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
            errno != EAGAIN);
}

/* core.is_untouched(handle): not even the kernel has input or an end for it */
static int l_is_untouched(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_conn *c = ld_conn_find(vm->pool, (int64_t)luaL_checknumber(L, 1));

    lua_pushboolean(L, c && !has_input(c));
    return 1;
}

/* core.renew(handle) -> a new table for the connection, in the place of the
 * one that stood for it; nil when tasks, connections or a channel hang on it */
static int l_renew(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_conn *c = ld_conn_find(vm->pool, (int64_t)luaL_checknumber(L, 1));
    lua_State *outer = vm->L;

    if (!c || c->follows || (c->extra && c->extra->children))
        return 0;
    vm->L = L;
    ld_vm_make_table(vm, c, (struct ld_machine *)(void *)c->profile);
    ld_vm_push_conn(vm, c);
    vm->L = outer;
    return 1;
}

static const luaL_Reg dial[] = {{"dial", l_dial},
                                {"dial_cancel", l_dial_cancel},
                                {"is_untouched", l_is_untouched},
                                {"renew", l_renew},
                                {NULL, NULL}};

void ld_lib_dial(lua_State *L)
{
    luaL_newmetatable(L, REQUEST);
    lua_pop(L, 1);
    luaL_register(L, NULL, dial);
}

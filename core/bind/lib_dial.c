/* lib_dial.c -- the part of linedancer.core that makes outgoing connections.
 *
 * The dialer is made by the first call and goes with the Lua state.  The
 * environment's LINEDANCER_RESOLVER, "IP:PORT,...", names other DNS servers
 * than the system's.
 */
#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../dial.h"
#include "errand.h"
#include "lib_core.h"

#define REQUEST "linedancer.dial"

static const char dialer_key; /* its address is the registry key */

/* A userdata: what Lua knows a dial by. */
struct request {
    struct ld_errand errand;
    struct ld_dial *dial; /* NULL: over, or the handshake is under way */
    struct ld_machine *machine;
    int64_t parent;             /* handle */
    struct ld_tls_context *tls; /* NULL: plain */
    int target_ref;             /* the table that it was asked for by */
    double deadline;            /* on the loop's clock */
    bool over;
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

/* Nothing is left of R but its memory. */
static void release(struct request *r)
{
    ld_tls_context_unref(r->tls);
    r->tls = NULL;
    luaL_unref(r->errand.vm->L, LUA_REGISTRYINDEX, r->target_ref);
    r->target_ref = LUA_NOREF;
    r->dial = NULL;
    r->over = true;
}

/* Push the connection over LINK, or nil, status and message. */
static int push_outcome(struct request *r, enum ld_status st,
                        struct ld_link *link, const char *message)
{
    struct ld_vm *vm = r->errand.vm;
    struct ld_conn *parent = ld_conn_find(vm->pool, r->parent), *c = NULL;

    if (!st && parent)
        c = ld_vm_adopt(vm, *link, r->machine, parent);
    if (c) {
        ld_vm_push_conn(vm, c);
        return 1;
    }
    if (!st) {
        st = parent ? LD_NOMEM : LD_CLOSED;
        message = NULL;
        link->transport->close(link, false);
    }
    return ld_errand_failure(vm->L, st, message);
}

static void conclude(struct request *r, enum ld_status st, struct ld_link *link,
                     const char *message)
{
    int count;

    ld_errand_push(&r->errand);
    count = push_outcome(r, st, link, message);
    release(r);
    ld_errand_tell(&r->errand, count, "connect failed");
}

/* Text field KEY of R's target, on the stack. */
static const char *push_field(const struct request *r, const char *key,
                              size_t *size)
{
    lua_State *L = r->errand.vm->L;

    lua_rawgeti(L, LUA_REGISTRYINDEX, r->target_ref);
    lua_getfield(L, -1, key);
    lua_remove(L, -2);
    return lua_tolstring(L, -1, size);
}

static void on_handshake(void *ctx, enum ld_status st, struct ld_link *link,
                         const struct ld_visitor *who, const char *why)
{
    struct request *r = ctx;
    lua_State *L = r->errand.vm->L;
    char message[LD_DIAL_TEXT];

    (void)who;
    snprintf(message, sizeof(message), "%s: TLS: %s",
             push_field(r, "text", NULL), why);
    lua_pop(L, 1);
    conclude(r, st, link, message);
}

/* What is to be said before all else; a socket that is new takes so little. */
static bool say(const struct request *r, int fd)
{
    size_t size = 0;
    const char *head = push_field(r, "head", &size);
    bool said = !head || send(fd, head, size, MSG_NOSIGNAL) == (ssize_t)size;

    lua_pop(r->errand.vm->L, 1);
    return said;
}

static enum ld_status secure(struct request *r, int fd)
{
    struct ld_vm *vm = r->errand.vm;
    double left = r->deadline - ev_now(vm->worker->loop);
    struct ld_handshake_terms terms = {.tls = r->tls,
                                       .name =
                                           push_field(r, "server_name", NULL),
                                       .seconds = left > 0 ? left : 0};
    enum ld_status st = ld_handshake_begin(&vm->handshakes, vm->worker->loop,
                                           &terms, fd, NULL, on_handshake, r);

    lua_pop(vm->L, 1);
    return st;
}

static void on_done(void *ctx, enum ld_status st, int fd, const char *message)
{
    struct request *r = ctx;
    struct ld_link link = {.transport = &ld_sock, .fd = fd};

    r->dial = NULL;
    if (!st && !say(r, fd))
        st = LD_RESET;
    if (!st && r->tls) {
        st = secure(r, fd);
        if (!st)
            return;
    }
    if (st && fd >= 0)
        close(fd);
    conclude(r, st, &link, message);
}

static int free_request(lua_State *L)
{
    struct request *r = lua_touserdata(L, 1);

    ld_tls_context_unref(r->tls);
    r->tls = NULL;
    return 0;
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

/* The userdata of a new request, on the stack; the table at 1 asks for it. */
static struct request *new_request(lua_State *L, struct ld_vm *vm,
                                   double timeout)
{
    struct request *r = lua_newuserdata(L, sizeof(*r));

    *r = (struct request){.errand.vm = vm,
                          .machine = lua_touserdata(L, 2),
                          .parent = (int64_t)luaL_checknumber(L, 3),
                          .deadline = ev_now(vm->worker->loop) + timeout};
    luaL_getmetatable(L, REQUEST);
    lua_setmetatable(L, -2);
    lua_getfield(L, 1, "tls");
    r->tls = ld_lib_tls(L, -1);
    lua_pushvalue(L, 1);
    r->target_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pop(L, 1);
    ld_errand_begin(L, &r->errand, 4);
    return r;
}

/* core.dial({ host=, port= | path=, source=, source_port=, device=, timeout=,
 * tls= (of core.tls_client()), server_name=, head= (what to say first), text=
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
        return ld_errand_failure(L, LD_UNREACHABLE,
                                 "there is no gateway, and so no "
                                 "network, in this process");
    dialer = dialer_of(L, vm);
    r = new_request(L, vm, to.timeout);
    r->dial = ld_dial_start(dialer, &to, on_done, r);
    if (r->dial)
        return 1;
    err = errno;
    release(r);
    ld_errand_forget(&r->errand);
    if (err == EAGAIN)
        return ld_errand_failure(L, LD_LIMIT,
                                 "too many connections are being made");
    return ld_errand_failure(L, err == ENOMEM ? LD_NOMEM : LD_ERROR,
                             strerror(err));
}

/* core.dial_cancel(dial): its DONE is not called.  Nothing when it was. */
static int l_dial_cancel(lua_State *L)
{
    struct request *r = luaL_checkudata(L, 1, REQUEST);

    if (r->over)
        return 0;
    if (r->dial)
        ld_dial_cancel(r->dial);
    else
        ld_handshakes_end(&r->errand.vm->handshakes, r);
    release(r);
    ld_errand_forget(&r->errand);
    return 0;
}

static bool has_input(struct ld_conn *c)
{
    char byte;

    if (c->link.transport == &ld_tls)
        return ld_tls.pending(&c->link);
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
    lua_pushcfunction(L, free_request);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_register(L, NULL, dial);
}

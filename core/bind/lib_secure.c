/* lib_secure.c -- the part of linedancer.core that puts TLS over a connection
 * that has been plain (STARTTLS).
 */
#include <lauxlib.h>

#include "errand.h"
#include "lib_core.h"
#include "port.h"

#define REQUEST "linedancer.secure"

/* A userdata: what Lua knows such a handshake by. */
struct request {
    struct ld_errand errand;
    int64_t handle;
    bool over;
};

static void on_handshake(void *ctx, enum ld_status st, struct ld_link *link,
                         const struct ld_visitor *who, const char *why)
{
    struct request *r = ctx;
    struct ld_vm *vm = r->errand.vm;
    struct ld_conn *c = ld_conn_find(vm->pool, r->handle);
    int count = 1;

    (void)who;
    if (!st && c && c->phase == LD_PHASE_OPEN)
        ld_conn_attach(c, *link);
    else if (!st)
        link->transport->close(link, true);
    r->over = true;
    ld_errand_push(&r->errand);
    if (st)
        count = ld_errand_failure(vm->L, st, why);
    else
        lua_pushboolean(vm->L, 1);
    ld_errand_tell(&r->errand, count, "starttls failed");
}

/* What the listener of C has for it; NULL: nothing. */
static struct ld_tls_context *of_listener(struct ld_vm *vm,
                                          const struct ld_conn *c)
{
    struct ld_port *port = c->listener ? vm->ports[c->listener - 1] : NULL;

    return port && port->tls ? ld_tls_context_ref(port->tls) : NULL;
}

static enum ld_status begin(struct request *r, struct ld_conn *c,
                            struct ld_tls_context *tls, const char *name,
                            double seconds)
{
    struct ld_handshake_terms terms = {
        .tls = tls, .name = name, .seconds = seconds};
    struct ld_vm *vm = r->errand.vm;
    enum ld_status st;
    int fd;

    st = ld_conn_detach(c, &fd);
    if (st)
        return st;
    st = ld_handshake_begin(&vm->handshakes, vm->worker->loop, &terms, fd, NULL,
                            on_handshake, r);
    if (st)
        ld_conn_attach(c, (struct ld_link){.transport = &ld_sock, .fd = fd});
    return st;
}

/* core.secure(handle, context, name, seconds, done) -> a handshake | nil,
 * status, message.  CONTEXT is of core.tls_client(); nil: what the connection's
 * listener has.  NAME is the server's, or nil.  DONE(true) or DONE(nil, status,
 * message) is called once, later; then the connection has nothing to talk over.
 */
static int l_secure(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_conn *c = ld_conn_find(vm->pool, (int64_t)luaL_checknumber(L, 1));
    const char *name = luaL_optstring(L, 3, NULL);
    double seconds = luaL_checknumber(L, 4);
    struct ld_tls_context *tls;
    struct request *r;
    enum ld_status st;

    luaL_checktype(L, 5, LUA_TFUNCTION);
    if (!c || !vm->worker)
        return ld_errand_failure(L, LD_CLOSED, NULL);
    r = lua_newuserdata(L, sizeof(*r));
    *r = (struct request){.errand.vm = vm, .handle = ld_conn_handle(c)};
    luaL_getmetatable(L, REQUEST);
    lua_setmetatable(L, -2);
    tls = lua_isnil(L, 2) ? of_listener(vm, c) : ld_lib_tls(L, 2);
    if (!tls)
        return ld_errand_failure(L, LD_TLS,
                                 "its listener has no tls for starttls");
    ld_errand_begin(L, &r->errand, 5);
    st = begin(r, c, tls, name, seconds);
    ld_tls_context_unref(tls);
    if (!st)
        return 1;
    r->over = true;
    ld_errand_forget(&r->errand);
    return ld_errand_failure(L, st, NULL);
}

/* core.secure_cancel(handshake): its DONE is not called, and its socket is
 * closed.  Nothing when it is over. */
static int l_cancel(lua_State *L)
{
    struct request *r = luaL_checkudata(L, 1, REQUEST);

    if (r->over)
        return 0;
    r->over = true;
    ld_handshakes_end(&r->errand.vm->handshakes, r);
    ld_errand_forget(&r->errand);
    return 0;
}

static const luaL_Reg functions[] = {
    {"secure", l_secure}, {"secure_cancel", l_cancel}, {NULL, NULL}};

void ld_lib_secure(lua_State *L)
{
    luaL_newmetatable(L, REQUEST);
    lua_pop(L, 1);
    luaL_register(L, NULL, functions);
}

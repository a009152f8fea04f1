/* lib_address.c -- the part of linedancer.core about where connections are
 * from, and where to.
 */
#include <arpa/inet.h>
#include <lauxlib.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "vm.h"

/* The connection whose handle is argument 1, or NULL. */
static const struct ld_conn *find_conn(lua_State *L)
{
    return ld_conn_find(ld_vm_of(L)->pool, (int64_t)luaL_checknumber(L, 1));
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

static const struct ld_origin *origin_of(const struct ld_conn *c)
{
    return c->extra ? c->extra->origin : NULL;
}

static bool find_peer(const struct ld_conn *c, struct sockaddr_storage *sa)
{
    const struct ld_origin *o = origin_of(c);
    socklen_t len = sizeof(*sa);
    struct sockaddr_in v4 = {.sin_family = AF_INET,
                             .sin_port = c->peer_port,
                             .sin_addr = {c->peer_host}};

    if (c->peer_port)
        memcpy(sa, &v4, sizeof(v4));
    else if (o && o->source.ss_family != AF_UNSPEC)
        *sa = o->source;
    else
        return getpeername(c->link.fd, (struct sockaddr *)sa, &len) == 0;
    return true;
}

/* core.peer(handle) -> address or nil */
static int l_peer(lua_State *L)
{
    const struct ld_conn *c = find_conn(L);
    struct sockaddr_storage sa = {0};

    if (c && !c->peer_port && c->link.fd < 0 && c->link.transport != &ld_sock) {
        lua_pushstring(L, c->link.transport->name);
        return 1;
    }
    if (!c || !find_peer(c, &sa))
        return 0;
    return push_address(L, &sa);
}

/* core.local_address(handle) -> address or nil */
static int l_local_address(lua_State *L)
{
    const struct ld_conn *c = find_conn(L);
    const struct ld_origin *o = c ? origin_of(c) : NULL;
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);

    if (o && o->destination.ss_family != AF_UNSPEC)
        return push_address(L, &o->destination);
    if (!c || getsockname(c->link.fd, (struct sockaddr *)&sa, &len) < 0)
        return 0;
    return push_address(L, &sa);
}

/* core.origin(handle) -> version of the PROXY protocol, the fields that came
 * with the addresses, as on the wire, and the proxy's own address; nil when no
 * proxy has said anything */
static int l_origin(lua_State *L)
{
    const struct ld_conn *c = find_conn(L);
    const struct ld_origin *o = c ? origin_of(c) : NULL;
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);

    if (!o)
        return 0;
    lua_pushinteger(L, o->version);
    lua_pushlstring(L, (const char *)o->fields, o->size);
    if (getpeername(c->link.fd, (struct sockaddr *)&sa, &len) < 0)
        return 2;
    push_address(L, &sa);
    return 3;
}

static const luaL_Reg functions[] = {{"peer", l_peer},
                                     {"local_address", l_local_address},
                                     {"origin", l_origin},
                                     {NULL, NULL}};

void ld_lib_address(lua_State *L)
{
    luaL_register(L, NULL, functions);
}

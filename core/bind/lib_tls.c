/* lib_tls.c -- the part of linedancer.core that makes TLS contexts, and says
 * what a connection over TLS has agreed on.
 */
#include <lauxlib.h>
#include <string.h>

#include "lib_core.h"
#include "vm.h"

enum { PAIRS_MAX = 100 };

static const char metatable[] = "linedancer.tls";

struct ld_tls_context *ld_lib_tls(lua_State *L, int index)
{
    struct ld_tls_context **p;

    if (lua_isnil(L, index))
        return NULL;
    p = luaL_checkudata(L, index, metatable);
    return ld_tls_context_ref(*p);
}

static int l_free(lua_State *L)
{
    struct ld_tls_context **p = luaL_checkudata(L, 1, metatable);

    ld_tls_context_unref(*p);
    *p = NULL;
    return 0;
}

/* Field KEY of the table at T; the text stays in the table. */
static const char *text(lua_State *L, int t, const char *key, size_t *size)
{
    const char *p;

    lua_getfield(L, t, key);
    p = lua_tolstring(L, -1, size);
    lua_pop(L, 1);
    return p;
}

static unsigned read_pairs(lua_State *L, struct ld_tls_pair *pairs)
{
    unsigned count = 0;

    lua_getfield(L, 1, "pairs");
    luaL_checktype(L, -1, LUA_TTABLE);
    for (int i = 1; count < PAIRS_MAX; i++, count++) {
        lua_rawgeti(L, -1, i);
        if (lua_isnil(L, -1))
            break;
        pairs[count].certificate = text(L, lua_gettop(L), "certificate", NULL);
        pairs[count].key = text(L, lua_gettop(L), "key", NULL);
        luaL_argcheck(L, pairs[count].certificate && pairs[count].key, 1,
                      "certificate or key missing");
        lua_pop(L, 1);
    }
    luaL_argcheck(L, count > 0, 1, "no pair");
    return count;
}

/* Push CTX, whose ref is taken over; or, when it is NULL, nil and WHY. */
static bool push_context(lua_State *L, struct ld_tls_context *ctx,
                         const char *why)
{
    struct ld_tls_context **p;

    if (!ctx) {
        lua_pushnil(L);
        lua_pushstring(L, why);
        return false;
    }
    p = lua_newuserdata(L, sizeof(*p));
    *p = ctx;
    luaL_getmetatable(L, metatable);
    lua_setmetatable(L, -2);
    return true;
}

/* core.tls_context{ pairs = { { certificate=, key= }... }, alpn= (as on the
 * wire), client_ca=, client= (see tls.h), secret= }, all but the last two as
 * texts -> context, seconds until a certificate expires | nil, message */
static int l_context(lua_State *L)
{
    struct ld_tls_pair pairs[PAIRS_MAX];
    struct ld_tls_options o = {.pairs = pairs};
    struct ld_tls_context *ctx;
    char why[256] = "";
    size_t size = 0, secret = 0;

    luaL_checktype(L, 1, LUA_TTABLE);
    o.count = read_pairs(L, pairs);
    o.alpn = (const uint8_t *)text(L, 1, "alpn", &size);
    o.alpn_size = o.alpn ? (unsigned)size : 0;
    o.client_ca = text(L, 1, "client_ca", NULL);
    o.client = (enum ld_tls_client)ld_lib_number(L, 1, "client", 0);
    o.secret = (const uint8_t *)text(L, 1, "secret", &secret);
    luaL_argcheck(L, secret == LD_TLS_SECRET, 1, "secret");
    ctx = ld_tls_context_new(&o, why, sizeof(why));
    if (!push_context(L, ctx, why))
        return 2;
    lua_pushnumber(L, ld_tls_context_expires(ctx));
    return 2;
}

/* core.tls_client{ certificate=, key=, alpn= (as on the wire), ca=, trusting=
 * }, all texts but the last and all optional, see tls.h -> context | nil,
 * message */
static int l_client(lua_State *L)
{
    struct ld_tls_client_options o = {0};
    struct ld_tls_pair pair;
    char why[256] = "";
    size_t size = 0;

    luaL_checktype(L, 1, LUA_TTABLE);
    pair.certificate = text(L, 1, "certificate", NULL);
    pair.key = text(L, 1, "key", NULL);
    o.pair = pair.certificate && pair.key ? &pair : NULL;
    o.alpn = (const uint8_t *)text(L, 1, "alpn", &size);
    o.alpn_size = o.alpn ? (unsigned)size : 0;
    o.ca = text(L, 1, "ca", NULL);
    lua_getfield(L, 1, "trusting");
    o.trusting = lua_toboolean(L, -1);
    return push_context(L, ld_tls_client_new(&o, why, sizeof(why)), why) ? 1
                                                                         : 2;
}

static void set(lua_State *L, const char *key, const char *value, size_t size)
{
    if (!value || size == 0)
        return;
    lua_pushlstring(L, value, size);
    lua_setfield(L, -2, key);
}

/* core.tls_facts(handle) -> { version, cipher, server_name, alpn, subject,
 * resumed }, or nil when it is not over TLS */
static int l_facts(lua_State *L)
{
    const struct ld_conn *c =
        ld_conn_find(ld_vm_of(L)->pool, (int64_t)luaL_checknumber(L, 1));
    struct ld_tls_facts f;

    if (!c || c->link.transport != &ld_tls || !c->link.state)
        return 0;
    ld_tls_facts(&c->link, &f);
    lua_newtable(L);
    set(L, "version", f.version, strlen(f.version));
    set(L, "cipher", f.cipher, strlen(f.cipher));
    set(L, "server_name", f.name, f.name ? strlen(f.name) : 0);
    set(L, "alpn", f.alpn, f.alpn_size);
    set(L, "subject", f.subject, strlen(f.subject));
    lua_pushboolean(L, f.resumed);
    lua_setfield(L, -2, "resumed");
    return 1;
}

static const luaL_Reg functions[] = {{"tls_context", l_context},
                                     {"tls_client", l_client},
                                     {"tls_facts", l_facts},
                                     {NULL, NULL}};

void ld_lib_tls_open(lua_State *L)
{
    luaL_newmetatable(L, metatable);
    lua_pushcfunction(L, l_free);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_register(L, NULL, functions);
}

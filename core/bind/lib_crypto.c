/* lib_crypto.c -- digests, MACs, random bytes and base64, by OpenSSL; what
 * linedancer.crypto is made of, which checks the arguments.
 *
 * Nothing is kept between calls: OpenSSL has its own state in each process,
 * and seeds its generator anew after fork().
 */
#include <lauxlib.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "vm.h"

enum { BASE64_MAX = 1 << 30 /* bytes; OpenSSL counts them with an int */ };

/* What failed must not be what a later user of OpenSSL finds in its queue. */
static int nothing(lua_State *L)
{
    ERR_clear_error();
    lua_pushnil(L);
    return 1;
}

/* core.digest(algorithm, data) -> bytes, or nil when OpenSSL has no such */
static int l_digest(lua_State *L)
{
    unsigned char out[EVP_MAX_MD_SIZE];
    size_t size, n;
    const char *name = luaL_checkstring(L, 1);
    const char *data = luaL_checklstring(L, 2, &n);

    if (!EVP_Q_digest(NULL, name, NULL, data, n, out, &size))
        return nothing(L);
    lua_pushlstring(L, (const char *)out, size);
    return 1;
}

/* core.hmac(algorithm, key, data) -> bytes, or nil when OpenSSL has no such */
static int l_hmac(lua_State *L)
{
    unsigned char out[EVP_MAX_MD_SIZE];
    size_t size, key_size, n;
    const char *name = luaL_checkstring(L, 1);
    const char *key = luaL_checklstring(L, 2, &key_size);
    const char *data = luaL_checklstring(L, 3, &n);

    if (!EVP_Q_mac(NULL, "HMAC", NULL, name, NULL, key, key_size,
                   (const unsigned char *)data, n, out, sizeof(out), &size))
        return nothing(L);
    lua_pushlstring(L, (const char *)out, size);
    return 1;
}

/* core.random(n) -> n bytes, or nil when the system has no entropy */
static int l_random(lua_State *L)
{
    int n = (int)luaL_checkinteger(L, 1);
    unsigned char *bytes;

    luaL_argcheck(L, n >= 0, 1, "a number of bytes expected");
    bytes = lua_newuserdata(L, (size_t)n + 1);
    if (RAND_bytes(bytes, n) != 1)
        return nothing(L);
    lua_pushlstring(L, (const char *)bytes, (size_t)n);
    OPENSSL_cleanse(bytes, (size_t)n);
    return 1;
}

/* core.equal(a, b): how long it takes says nothing but the lengths. */
static int l_equal(lua_State *L)
{
    size_t n, m;
    const char *a = luaL_checklstring(L, 1, &n);
    const char *b = luaL_checklstring(L, 2, &m);

    lua_pushboolean(L, n == m && CRYPTO_memcmp(a, b, n) == 0);
    return 1;
}

/* core.base64(bytes) -> text */
static int l_base64(lua_State *L)
{
    size_t n;
    const char *data = luaL_checklstring(L, 1, &n);
    unsigned char *text;
    int size;

    luaL_argcheck(L, n <= BASE64_MAX, 1, "too many bytes");
    text = lua_newuserdata(L, (n + 2) / 3 * 4 + 1);
    size = EVP_EncodeBlock(text, (const unsigned char *)data, (int)n);
    lua_pushlstring(L, (const char *)text, (size_t)size);
    return 1;
}

/* core.unbase64(text) -> bytes, or nil; lenient: some texts that base64() does
 * not make are taken, too. */
static int l_unbase64(lua_State *L)
{
    size_t n, padding = 0;
    const char *text = luaL_checklstring(L, 1, &n);
    unsigned char *bytes;
    int size;

    if (n % 4 || n > BASE64_MAX)
        return nothing(L);
    while (padding < 2 && padding < n && text[n - 1 - padding] == '=')
        padding++;
    bytes = lua_newuserdata(L, n / 4 * 3 + 1);
    size = EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)n);
    if (size < (int)padding)
        return nothing(L);
    lua_pushlstring(L, (const char *)bytes, (size_t)size - padding);
    return 1;
}

/* core.hex(bytes) -> text */
static int l_hex(lua_State *L)
{
    static const char digits[] = "0123456789abcdef";
    size_t n;
    const char *data = luaL_checklstring(L, 1, &n);
    luaL_Buffer b;

    luaL_buffinit(L, &b);
    for (size_t i = 0; i < n; i++) {
        luaL_addchar(&b, digits[(unsigned char)data[i] >> 4]);
        luaL_addchar(&b, digits[(unsigned char)data[i] & 15]);
    }
    luaL_pushresult(&b);
    return 1;
}

static const luaL_Reg crypto[] = {{"digest", l_digest},     {"hmac", l_hmac},
                                  {"random", l_random},     {"equal", l_equal},
                                  {"base64", l_base64},     {"hex", l_hex},
                                  {"unbase64", l_unbase64}, {NULL, NULL}};

void ld_lib_crypto(lua_State *L)
{
    luaL_register(L, NULL, crypto);
}

/* lib_crypto.c -- digests, random bytes and base64 for Lua, by OpenSSL; see
 * lua/linedancer/crypto.lua, which checks the arguments.
 */
#include <lauxlib.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "vm.h"

enum { RANDOM_MAX = 1 << 16 /* bytes */ };

/* The algorithm called by argument I, or an error. */
static const EVP_MD *check_algorithm(lua_State *L, int i)
{
    const char *name = luaL_checkstring(L, i);
    const EVP_MD *md = EVP_get_digestbyname(name);

    if (!md)
        luaL_error(L, "no digest is called '%s'", name);
    return md;
}

/* digest(algorithm, data) -> bytes */
static int l_digest(lua_State *L)
{
    const EVP_MD *md = check_algorithm(L, 1);
    uint8_t out[EVP_MAX_MD_SIZE];
    unsigned out_size = 0;
    size_t size;
    const char *data = luaL_checklstring(L, 2, &size);

    if (!EVP_Digest(data, size, out, &out_size, md, NULL))
        return luaL_error(L, "the digest '%s' is not available",
                          lua_tostring(L, 1));
    lua_pushlstring(L, (const char *)out, out_size);
    return 1;
}

/* hmac(algorithm, key, data) -> bytes */
static int l_hmac(lua_State *L)
{
    const EVP_MD *md = check_algorithm(L, 1);
    uint8_t out[EVP_MAX_MD_SIZE];
    unsigned out_size = 0;
    size_t key_size, size;
    const char *key = luaL_checklstring(L, 2, &key_size);
    const char *data = luaL_checklstring(L, 3, &size);

    if (!HMAC(md, key, (int)key_size, (const uint8_t *)data, size, out,
              &out_size))
        return luaL_error(L, "the digest '%s' is not available",
                          lua_tostring(L, 1));
    lua_pushlstring(L, (const char *)out, out_size);
    return 1;
}

/* random(n) -> n bytes */
static int l_random(lua_State *L)
{
    lua_Number n = luaL_checknumber(L, 1);
    luaL_Buffer b;

    luaL_argcheck(L, n >= 0 && n <= RANDOM_MAX, 1, "0 to 65536 bytes expected");
    luaL_buffinit(L, &b);
    for (size_t left = (size_t)n; left > 0;) {
        size_t part = left < LUAL_BUFFERSIZE ? left : LUAL_BUFFERSIZE;

        if (RAND_bytes((uint8_t *)luaL_prepbuffer(&b), (int)part) != 1)
            return luaL_error(L, "no random bytes can be had");
        luaL_addsize(&b, part);
        left -= part;
    }
    luaL_pushresult(&b);
    return 1;
}

/* equal(a, b) -> boolean, in a time that depends on their sizes alone */
static int l_equal(lua_State *L)
{
    size_t a_size, b_size;
    const char *a = luaL_checklstring(L, 1, &a_size);
    const char *b = luaL_checklstring(L, 2, &b_size);

    lua_pushboolean(L, a_size == b_size && CRYPTO_memcmp(a, b, a_size) == 0);
    return 1;
}

/* base64(data) -> text */
static int l_base64(lua_State *L)
{
    size_t size;
    const char *data = luaL_checklstring(L, 1, &size);
    char *out;

    luaL_argcheck(L, size < INT32_MAX / 2, 1, "too long");
    out = lua_newuserdata(L, 4 * (size / 3 + 1) + 1);
    lua_pushlstring(L, out,
                    (size_t)EVP_EncodeBlock((uint8_t *)out,
                                            (const uint8_t *)data, (int)size));
    return 1;
}

/* unbase64(text) -> data, or nil when it is none; without line ends */
static int l_unbase64(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    uint8_t *out;
    int got;

    luaL_argcheck(L, size < INT32_MAX / 2, 1, "too long");
    if (size % 4 != 0)
        return 0;
    out = lua_newuserdata(L, 3 * size / 4 + 1);
    got = EVP_DecodeBlock(out, (const uint8_t *)text, (int)size);
    if (got < 0)
        return 0;
    for (size_t i = size; i > 0 && i + 2 > size && text[i - 1] == '='; i--)
        got--;
    lua_pushlstring(L, (const char *)out, (size_t)got);
    return 1;
}

static const luaL_Reg crypto[] = {
    {"digest", l_digest}, {"hmac", l_hmac},     {"random", l_random},
    {"equal", l_equal},   {"base64", l_base64}, {"unbase64", l_unbase64},
    {NULL, NULL}};

void ld_lib_crypto(lua_State *L)
{
    lua_newtable(L);
    luaL_register(L, NULL, crypto);
    lua_setfield(L, -2, "crypto");
}

/* lib_channel.c -- the part of linedancer.core for channels.
 *
 * A log is a userdata that owns its struct ld_channel, until the pool goes.
 * Who has followers must be kept by its Lua half.  Bytes to publish come as
 * args[0..count), as in leaf_bytes.c; what returns a status returns a number.
 */
#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "../channel.h"
#include "lib_core.h"
#include "vm.h"

#define LOG "linedancer.channel"

static struct ld_channel *check_log(lua_State *L)
{
    struct ld_channel **box = luaL_checkudata(L, 1, LOG);

    luaL_argcheck(L, *box, 1, "the channel has gone");
    return *box;
}

static int push_status(lua_State *L, enum ld_status st)
{
    lua_pushinteger(L, (lua_Integer)st);
    return 1;
}

/* bytes, items, merge, marks: arguments from FIRST on. */
static struct ld_channel_limits check_limits(lua_State *L, int first)
{
    struct ld_channel_limits limits;

    limits.bytes = (uint32_t)luaL_checknumber(L, first);
    limits.items = (uint32_t)luaL_checknumber(L, first + 1);
    limits.merge = luaL_checknumber(L, first + 2);
    limits.marks = lua_toboolean(L, first + 3);
    luaL_argcheck(L, limits.bytes > 0, first, "above 0 expected");
    luaL_argcheck(L, limits.items > 0, first + 1, "above 0 expected");
    return limits;
}

/* core.channel(bytes, items, merge, marks) -> log */
static int l_channel(lua_State *L)
{
    struct ld_channel_limits limits = check_limits(L, 1);
    struct ld_channel **box = lua_newuserdata(L, sizeof(struct ld_channel *));

    *box = NULL;
    luaL_getmetatable(L, LOG);
    lua_setmetatable(L, -2);
    *box = ld_channel_new(ld_vm_of(L)->pool, &limits);
    if (!*box)
        return luaL_error(L, "out of memory");
    return 1;
}

/* When the VM went first, so did the pool, and all channels with it. */
static int l_gc(lua_State *L)
{
    struct ld_channel **box = luaL_checkudata(L, 1, LOG);

    if (*box && ld_vm_of(L))
        ld_channel_free(*box);
    *box = NULL;
    return 0;
}

/* log:limit(bytes, items, merge, marks) */
static int l_limit(lua_State *L)
{
    struct ld_channel *ch = check_log(L);
    struct ld_channel_limits limits = check_limits(L, 2);

    ld_channel_limit(ch, &limits);
    return 0;
}

/* args[0..count) as one piece in Q; one string is copied once. */
static enum ld_status collect(struct ld_vm *vm, struct ld_chain *q,
                              uint32_t count)
{
    const struct ld_arg *a = vm->args;
    enum ld_status st;
    struct ld_blob *b;

    ld_chain_init(q, &vm->pool->chunks);
    if (count != 1 || a->kind != LD_ARG_BYTES)
        return ld_vm_append(vm, q, count);
    vm->share_count = 0;
    b = ld_blob_new(a->len);
    if (!b)
        return LD_NOMEM;
    memcpy(b->data, a->p, a->len);
    st = ld_chain_share(q, b, 0, a->len);
    ld_blob_unref(b);
    return st;
}

/* log:publish(count, mark) -> status */
static int l_publish(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_channel *ch = check_log(L);
    lua_State *outer = vm->L;
    struct ld_chain q;
    enum ld_status st = collect(vm, &q, (uint32_t)luaL_checkinteger(L, 2));

    vm->L = L;
    if (!st)
        st = ld_channel_publish(ch, &q, lua_toboolean(L, 3));
    vm->L = outer;
    ld_chain_clear(&q);
    return push_status(L, st);
}

/* log:preamble(count) -> status */
static int l_preamble(lua_State *L)
{
    struct ld_channel *ch = check_log(L);
    struct ld_chain q;
    enum ld_status st =
        collect(ld_vm_of(L), &q, (uint32_t)luaL_checkinteger(L, 2));

    if (!st)
        st = ld_channel_preamble(ch, &q);
    ld_chain_clear(&q);
    return push_status(L, st);
}

/* log:finish(): the publisher has gone. */
static int l_finish(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_channel *ch = check_log(L);
    lua_State *outer = vm->L;

    vm->L = L;
    ld_channel_end(ch);
    vm->L = outer;
    return 0;
}

/* log:cut(): entries are missing from here on. */
static int l_cut(lua_State *L)
{
    ld_channel_cut(check_log(L));
    return 0;
}

/* log:follow(handle, lag, policy, add) -> status; LAG may be huge, POLICY is a
 * number of enum ld_policy; with ADD, besides what it follows. */
static int l_follow(lua_State *L)
{
    struct ld_channel *ch = check_log(L);
    struct ld_conn *c =
        ld_conn_find(ld_vm_of(L)->pool, (int64_t)luaL_checknumber(L, 2));
    double lag = luaL_checknumber(L, 3);
    int policy = (int)luaL_checkinteger(L, 4);
    uint64_t most = lag < 0x1p53 ? (uint64_t)lag : UINT64_MAX;
    enum ld_policy p = (enum ld_policy)policy;

    luaL_argcheck(L, policy >= LD_SKIP && policy <= LD_QUIT, 4, "policy");
    if (!c)
        return push_status(L, LD_CLOSED);
    if (lua_toboolean(L, 5))
        return push_status(L, ld_channel_join(ch, c, most, p));
    return push_status(L, ld_channel_follow(ch, c, most, p));
}

/* log:unfollow(handle) */
static int l_unfollow(lua_State *L)
{
    struct ld_channel *ch = check_log(L);
    struct ld_conn *c =
        ld_conn_find(ld_vm_of(L)->pool, (int64_t)luaL_checknumber(L, 2));

    if (c)
        ld_channel_leave(ch, c);
    return 0;
}

/* log:range() -> tail, head, where a newcomer starts */
static int l_range(lua_State *L)
{
    const struct ld_channel *ch = check_log(L);

    lua_pushnumber(L, (lua_Number)ch->tail);
    lua_pushnumber(L, (lua_Number)ch->head);
    lua_pushnumber(L, (lua_Number)ld_channel_first(ch));
    return 3;
}

/* log:entry(i) -> its bytes as a string, is it a mark; nothing when it is
 * not there. */
static int l_entry(lua_State *L)
{
    const struct ld_channel *ch = check_log(L);
    lua_Number n = luaL_checknumber(L, 2);
    const struct ld_entry *e;

    if (!(n >= (lua_Number)ch->tail && n < (lua_Number)ch->head))
        return 0;
    e = ld_channel_entry(ch, (uint64_t)n);
    lua_pushlstring(L, (const char *)e->blob->data + e->off, e->len);
    lua_pushboolean(L, e->mark);
    return 2;
}

static void set_number(lua_State *L, const char *key, double n)
{
    lua_pushnumber(L, n);
    lua_setfield(L, -2, key);
}

/* log:stats() -> { items=, bytes=, followers=, published=, skipped=, dropped=,
 * closed=, lost=, tail=, head= } */
static int l_stats(lua_State *L)
{
    const struct ld_channel *ch = check_log(L);

    lua_createtable(L, 0, 12);
    set_number(L, "items", (double)(ch->head - ch->tail));
    set_number(L, "bytes", (double)ld_channel_bytes(ch));
    set_number(L, "followers", ch->count);
    set_number(L, "published", (double)ch->entries);
    set_number(L, "skipped", (double)ch->skipped);
    set_number(L, "dropped", (double)ch->dropped);
    set_number(L, "closed", (double)ch->quit);
    set_number(L, "lost", (double)ch->lost);
    set_number(L, "tail", (double)ch->tail);
    set_number(L, "head", (double)ch->head);
    return 1;
}

/* log:place(handle) -> { behind=, sent=, skipped=, lost=, waiting= } of the
 * connection as a follower; nil when it is none */
static int l_place(lua_State *L)
{
    const struct ld_channel *ch = check_log(L);
    struct ld_conn *c =
        ld_conn_find(ld_vm_of(L)->pool, (int64_t)luaL_checknumber(L, 2));
    const struct ld_follower *f = c ? ld_channel_find(ch, c) : NULL;

    if (!f)
        return 0;
    lua_createtable(L, 0, 6);
    set_number(L, "behind", (double)ld_follower_behind(f));
    set_number(L, "sent", (double)ld_follower_sent(f));
    set_number(L, "skipped", (double)f->skipped);
    set_number(L, "lost", (double)f->lost);
    lua_pushboolean(L, f->waits);
    lua_setfield(L, -2, "waiting");
    return 1;
}

/* As conn:close("lag") does. */
static void on_lagged(void *ctx, struct ld_conn *c)
{
    struct ld_vm *vm = ctx;

    ld_vm_push_conn(vm, c);
    if (lua_istable(vm->L, -1)) {
        lua_pushliteral(vm->L, "lag");
        lua_rawseti(vm->L, -2, 2);
    }
    lua_pop(vm->L, 1);
    ld_conn_doom(c, LD_CLOSED, false);
}

static const luaL_Reg log_methods[] = {
    {"limit", l_limit},   {"publish", l_publish},   {"preamble", l_preamble},
    {"finish", l_finish}, {"cut", l_cut},           {"follow", l_follow},
    {"range", l_range},   {"entry", l_entry},       {"stats", l_stats},
    {"place", l_place},   {"unfollow", l_unfollow}, {NULL, NULL}};

static const luaL_Reg channel[] = {{"channel", l_channel}, {NULL, NULL}};

void ld_lib_channel(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);

    vm->pool->channels.lagged = on_lagged;
    vm->pool->channels.ctx = vm;
    if (luaL_newmetatable(L, LOG)) {
        lua_newtable(L);
        luaL_register(L, NULL, log_methods);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, l_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_pop(L, 1);
    luaL_register(L, NULL, channel);
}

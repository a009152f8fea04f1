/* native_session.c -- connections, for handlers in C. */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "../conn_parts.h"
#include "native.h"

static int check(const struct ld_session *s)
{
    return s ? 0
             : ld_refuse(LD_ERR_ARGUMENT, "there is no session: it is NULL");
}

static struct ld_vm *vm_of(const struct ld_session *s)
{
    return s->native->gateway->vm;
}

LD_PUBLIC int ld_session_write(struct ld_session *s, const void *bytes,
                               size_t size)
{
    struct ld_chain *out;
    int code = check(s);

    if (code)
        return code;
    if (!bytes && size > 0)
        return ld_refuse(LD_ERR_ARGUMENT, "there are no bytes: they are NULL");
    out = size > 0 ? ld_conn_room(s->conn) : NULL;
    if (!out)
        return 0;
    if (ld_chain_write(out, bytes, size))
        return ld_refuse(LD_ERR_MEMORY, "out of memory");
    ld_conn_grew(s->conn);
    return 0;
}

static bool to_arg(struct ld_arg *a, const struct ld_item *item)
{
    static const struct ld_arg nothing = {.kind = LD_ARG_NIL};

    *a = nothing;
    switch (item->kind) {
    case 0: return true;
    case 1:
    case 4:
        a->kind = item->kind == 1 ? LD_ARG_NUMBER : LD_ARG_COUNT;
        a->n = item->value.number;
        return true;
    case 2:
        a->kind = LD_ARG_INT64;
        a->i = item->value.integer;
        return true;
    case 3:
        a->kind = LD_ARG_BYTES;
        a->p = item->value.bytes;
        a->len = (uint32_t)item->size;
        return item->size <= UINT32_MAX &&
               (item->value.bytes || item->size == 0);
    default: return false;
    }
}

LD_PUBLIC int ld_session_pack(struct ld_session *s, const char *format,
                              const struct ld_item *items, size_t count)
{
    const struct ld_format *f;
    struct ld_chain *out;
    enum ld_status st;
    struct ld_vm *vm;
    int code = check(s);

    if (code)
        return code;
    if (!format || (!items && count > 0) || count > LD_ARGS_MAX)
        return ld_refuse(LD_ERR_ARGUMENT,
                         "the format or the items are NULL, or "
                         "too many");
    f = ld_native_format(s->native, format);
    if (!f)
        return LD_ERR_ARGUMENT;
    vm = vm_of(s);
    for (size_t i = 0; i < count; i++)
        if (!to_arg(&vm->args[i], &items[i]))
            return ld_refuse(LD_ERR_ARGUMENT,
                             "item %zu is NULL, too long, or of no known kind",
                             i);
    out = ld_conn_room(s->conn);
    if (!out)
        return 0;
    vm->share_count = 0;
    st = ld_vm_pack(vm, out, f, (uint32_t)count);
    if (st)
        return ld_refuse(st == LD_NOMEM ? LD_ERR_MEMORY : LD_ERR_ARGUMENT,
                         "item %u does not fit format '%s': %s",
                         vm->pool->result->field, format, ld_strstatus(st));
    ld_conn_grew(s->conn);
    return 0;
}

LD_PUBLIC int ld_session_fail(struct ld_session *s, const char *text)
{
    if (s)
        snprintf(s->reason, sizeof(s->reason), "%s", text ? text : "failed");
    return LD_STATE_FAIL;
}

LD_PUBLIC void *ld_session_data(struct ld_session *s)
{
    return s && s->conn->extra ? s->conn->extra->data : NULL;
}

LD_PUBLIC int ld_session_set_data(struct ld_session *s, void *data)
{
    struct ld_extra *x;
    int code = check(s);

    if (code)
        return code;
    x = ld_conn_extra(s->conn);
    if (!x)
        return ld_refuse(LD_ERR_MEMORY, "out of memory");
    x->data = data;
    return 0;
}

LD_PUBLIC void *ld_session_ctx(struct ld_session *s)
{
    return s ? s->native->ctx : NULL;
}

LD_PUBLIC struct ld_gateway *ld_session_gateway(struct ld_session *s)
{
    return s ? s->native->gateway : NULL;
}

/* (conn, key) -> the connection's fact KEY */
static int get_fact(lua_State *L)
{
    lua_gettable(L, 1);
    return 1;
}

/* (conn, pattern) */
static int subscribe(lua_State *L)
{
    lua_getfield(L, 1, "subscribe");
    lua_insert(L, 1);
    lua_call(L, 2, 0);
    return 0;
}

/* FN(the connection's table, TEXT), for RESULTS; as lua_pcall().  While all is
 * coming to its end there is nobody to ask. */
static int ask(const struct ld_session *s, lua_CFunction fn, const char *text,
               int results)
{
    lua_State *L = s->L;

    if (vm_of(s)->quiet || !lua_checkstack(L, 4))
        return LUA_ERRRUN;
    lua_pushcfunction(L, fn);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm_of(s)->conns_ref);
    lua_rawgeti(L, -1, (int)s->conn->slot + 1);
    lua_remove(L, -2);
    lua_pushstring(L, text);
    return ld_vm_pcall(vm_of(s), L, 2, results);
}

static size_t copy_fact(const struct ld_session *s, const char *key, char *text,
                        size_t size)
{
    const char *value;
    size_t n = 0;
    int top;

    if (text && size > 0)
        *text = 0;
    if (!s)
        return 0;
    top = lua_gettop(s->L);
    if (ask(s, get_fact, key, 1) == 0 &&
        (value = lua_tolstring(s->L, -1, &n)) && text)
        snprintf(text, size, "%s", value);
    lua_settop(s->L, top);
    return n;
}

LD_PUBLIC size_t ld_session_peer(struct ld_session *s, char *text, size_t size)
{
    return copy_fact(s, "peer", text, size);
}

LD_PUBLIC size_t ld_session_id(struct ld_session *s, char *text, size_t size)
{
    return copy_fact(s, "id", text, size);
}

LD_PUBLIC int ld_session_subscribe(struct ld_session *s, const char *pattern)
{
    int top, code = check(s);

    if (code)
        return code;
    if (!pattern)
        return ld_refuse(LD_ERR_ARGUMENT, "there is no pattern: it is NULL");
    top = lua_gettop(s->L);
    if (ask(s, subscribe, pattern, 0))
        code = ld_refuse(LD_ERR_ARGUMENT, "%s",
                         lua_gettop(s->L) > top && lua_isstring(s->L, -1)
                             ? lua_tostring(s->L, -1)
                             : "the connection cannot subscribe");
    lua_settop(s->L, top);
    return code;
}

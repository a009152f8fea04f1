/* lib_direct.c -- the second entry to compiled formats: plain C functions,
 * for when the JIT is off and a call through the FFI costs ten times as much.
 */
#include <lauxlib.h>

#include "vm.h"

static void push_value(lua_State *L, const struct ld_field *f,
                       const struct ld_result *r, const union ld_value *v)
{
    if (f->kind == LD_FIELD_STRING)
        lua_pushlstring(L, (const char *)r->frame + v->s.off, v->s.len);
    else
        lua_pushnumber(L, v->n);
}

/* core.values(format, offset): the values of the last frame, which has only
 * numbers and strings. */
static int push_values(lua_State *L, struct ld_vm *vm,
                       const struct ld_format *f)
{
    const struct ld_result *r = vm->pool->result;
    uint32_t count, n = 0;
    const struct ld_field *fields = ld_format_fields(f, &count);

    luaL_checkstack(L, (int)count + 2, "too many values");
    for (uint32_t i = 0; i < count; i++)
        if (!fields[i].hidden)
            push_value(L, &fields[i], r, &r->values[n++]);
    if (n == 0) {
        lua_pushboolean(L, 1);
        n = 1;
    }
    return (int)n;
}

/* core.unpack(conn, format, flags) -> 0, values... | status */
static int l_unpack(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    int64_t h = (int64_t)lua_tonumber(L, 1);
    uint32_t id = (uint32_t)lua_tointeger(L, 2);
    struct ld_format *f = ld_vm_format(vm, id);
    int st;

    luaL_argcheck(L, f, 2, "format expected");
    st = vm->api.unpack(vm, h, id, (uint32_t)lua_tointeger(L, 3));
    lua_pushinteger(L, st);
    return st ? 1 : 1 + push_values(L, vm, f);
}

/* core.values(format) -> the values of the frame last read */
static int l_values(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_format *f = ld_vm_format(vm, (uint32_t)lua_tointeger(L, 1));

    luaL_argcheck(L, f, 1, "format expected");
    return push_values(L, vm, f);
}

/* The value at INDEX of the stack for F; false when it is no number for a
 * number nor a string for bytes: only the FFI entry can take it, or refuse. */
static bool read_arg(lua_State *L, int index, const struct ld_field *f,
                     struct ld_arg *a)
{
    bool bytes = f->kind == LD_FIELD_STRING || f->kind == LD_FIELD_SLICE;
    size_t len;

    if (lua_type(L, index) != (bytes ? LUA_TSTRING : LUA_TNUMBER))
        return false;
    if (bytes) {
        a->kind = LD_ARG_BYTES;
        a->p = (const uint8_t *)lua_tolstring(L, index, &len);
        a->len = (uint32_t)len;
    } else {
        a->kind = LD_ARG_NUMBER;
        a->n = lua_tonumber(L, index);
    }
    return true;
}

/* Values 3.. of the stack, COUNT of them, become args. */
static bool read_args(lua_State *L, struct ld_vm *vm,
                      const struct ld_format *format, int count)
{
    uint32_t field_count;
    const struct ld_field *f = ld_format_fields(format, &field_count);
    int n = 0;

    for (uint32_t i = 0; i < field_count; i++) {
        if (f[i].hidden)
            continue;
        if (n == count || !read_arg(L, n + 3, &f[i], &vm->args[n]))
            return false;
        n++;
    }
    return n == count;
}

/* core.pack(conn, format, values...) -> status, or nil: use the other entry */
static int l_pack(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    int64_t h = (int64_t)lua_tonumber(L, 1);
    uint32_t id = (uint32_t)lua_tointeger(L, 2);
    const struct ld_format *f = ld_vm_format(vm, id);
    int count = lua_gettop(L) - 2;

    luaL_argcheck(L, f, 2, "format expected");
    if (!read_args(L, vm, f, count))
        return 0;
    lua_pushinteger(L, vm->api.pack(vm, h, id, (uint32_t)count));
    return 1;
}

/* core.write(conn, string) -> status */
static int l_write(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    size_t len;
    const char *p = luaL_checklstring(L, 2, &len);

    lua_pushinteger(L, vm->api.write(vm, (int64_t)lua_tonumber(L, 1), p, len));
    return 1;
}

/* core.enter(conn, state) -> status */
static int l_enter(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);

    lua_pushinteger(L, vm->api.enter(vm, (int64_t)lua_tonumber(L, 1),
                                     (uint32_t)lua_tointeger(L, 2)));
    return 1;
}

static const luaL_Reg direct[] = {{"unpack", l_unpack}, {"values", l_values},
                                  {"pack", l_pack},     {"write", l_write},
                                  {"enter", l_enter},   {NULL, NULL}};

void ld_lib_direct(lua_State *L)
{
    luaL_register(L, NULL, direct);
}

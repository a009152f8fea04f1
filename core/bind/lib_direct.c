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

/* Values 3.. of the stack become args; false when one is neither a number nor
 * a string, which only the FFI entry can take. */
static bool read_args(lua_State *L, struct ld_vm *vm, int count)
{
    for (int i = 0; i < count; i++) {
        struct ld_arg *a = &vm->args[i];
        size_t len;

        if (lua_type(L, i + 3) == LUA_TNUMBER) {
            a->kind = LD_ARG_NUMBER;
            a->n = lua_tonumber(L, i + 3);
        } else if (lua_type(L, i + 3) == LUA_TSTRING) {
            a->kind = LD_ARG_BYTES;
            a->p = (const uint8_t *)lua_tolstring(L, i + 3, &len);
            a->len = (uint32_t)len;
        } else {
            return false;
        }
    }
    return true;
}

/* core.pack(conn, format, values...) -> status, or nil: use the other entry */
static int l_pack(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    int64_t h = (int64_t)lua_tonumber(L, 1);
    uint32_t id = (uint32_t)lua_tointeger(L, 2);
    int count = lua_gettop(L) - 2;

    luaL_argcheck(L, ld_vm_format(vm, id), 2, "format expected");
    if (count > LD_ARGS_MAX || !read_args(L, vm, count))
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

    lua_pushinteger(L,
                    vm->api.write(vm, (int64_t)lua_tonumber(L, 1), p, len));
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

static const luaL_Reg direct[] = {
    {"unpack", l_unpack}, {"values", l_values}, {"pack", l_pack},
    {"write", l_write},   {"enter", l_enter},   {NULL, NULL}};

void ld_lib_direct(lua_State *L)
{
    luaL_register(L, NULL, direct);
}

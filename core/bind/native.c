/* native.c -- handlers in C: what a host has added, and what Lua calls of it.
 *
 * A state in Lua (lua/linedancer/native.lua) waits for the frame, so that
 * deadlines, hooks and reloads are those of any handler, and calls the host's
 * function in its coroutine, which that cannot suspend.
 */
#include "native.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "../conn_parts.h"
#include "task_parts.h"

enum {
    STATES_MAX = 1000,
    CODE_SIZE = sizeof(struct ld_state),
    HANDLER_SIZE = sizeof(struct ld_handler)
};

static void free_native(struct ld_native *n)
{
    for (size_t i = 0; n->states && i < n->state_count; i++) {
        free(n->states[i].name);
        free(n->states[i].source);
        ld_format_free(n->states[i].format);
    }
    for (size_t i = 0; i < n->pack_count; i++) {
        free(n->packs[i].source);
        ld_format_free(n->packs[i].format);
    }
    free(n->states);
    free(n->name);
    free(n);
}

void ld_native_free_all(struct ld_gateway *g)
{
    while (g->natives) {
        struct ld_native *n = g->natives;

        g->natives = n->next;
        free_native(n);
    }
}

static struct ld_format *compile(const char *source, const char *whose)
{
    struct ld_format_error err;
    struct ld_format *f = ld_format_compile(source, strlen(source), &err);

    if (!f)
        ld_refuse(LD_ERR_ARGUMENT, "%s: format '%s', column %u: %s", whose,
                  source, err.column, err.message);
    return f;
}

static bool is_identifier(const char *name)
{
    size_t n = name ? strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789"
                                   "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
                    : 0;

    return n > 0 && !name[n] && !(*name >= '0' && *name <= '9');
}

static int copy_state(struct ld_native_state *to, const struct ld_state *st,
                      const char *whose)
{
    if (!is_identifier(st->name) || !st->run)
        return ld_refuse(LD_ERR_ARGUMENT,
                         "%s: a state lacks its name, or its "
                         "function",
                         whose);
    to->name = strdup(st->name);
    to->idle = st->idle > 0 ? st->idle : 0;
    to->total = st->total > 0 ? st->total : 0;
    to->run = st->run;
    if (!to->name)
        return ld_refuse(LD_ERR_MEMORY, "out of memory");
    if (!st->format)
        return 0;
    to->source = strdup(st->format);
    to->format = compile(st->format, whose);
    if (!to->source || !to->format)
        return LD_ERR_ARGUMENT;
    to->fields = ld_format_fields(to->format, &to->field_count);
    return 0;
}

/* A state's own size is that of the header that the host was built with. */
static int copy_states(struct ld_native *n, const struct ld_handler *h)
{
    const char *at = (const char *)h->states;

    n->states = calloc(h->state_count, sizeof(struct ld_native_state));
    if (!n->states)
        return ld_refuse(LD_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < h->state_count; i++, at += h->state_size) {
        struct ld_state st;
        int code;

        memcpy(&st, at, sizeof(st));
        n->state_count++; /* also of one that was copied in part */
        code = copy_state(&n->states[i], &st, n->name);
        if (code)
            return code;
        for (size_t k = 0; k < i; k++)
            if (strcmp(n->states[k].name, st.name) == 0)
                return ld_refuse(LD_ERR_ARGUMENT,
                                 "%s: two states are called "
                                 "'%s'",
                                 n->name, st.name);
    }
    return 0;
}

static int check(const char *name, const struct ld_handler *h)
{
    if (!name || !*name)
        return ld_refuse(LD_ERR_ARGUMENT, "a name is missing");
    if (!h || h->size < HANDLER_SIZE || h->state_size < CODE_SIZE)
        return ld_refuse(LD_ERR_ARGUMENT,
                         "%s: the handler is NULL, or its "
                         "sizes are not set: see LD_HANDLER",
                         name);
    if (!h->states || h->state_count == 0 || h->state_count > STATES_MAX)
        return ld_refuse(LD_ERR_ARGUMENT, "%s: a handler has 1 to %d states",
                         name, STATES_MAX);
    return 0;
}

static struct ld_native *find(const struct ld_gateway *g, const char *name)
{
    struct ld_native *n = g->natives;

    while (n && strcmp(n->name, name) != 0)
        n = n->next;
    return n;
}

static bool is_script(struct ld_gateway *g, const char *name)
{
    bool is;

    lua_pushstring(g->L, name);
    if (ld_embed_lua(g, "is_script", 1, 1))
        return false;
    is = lua_toboolean(g->L, -1);
    lua_pop(g->L, 1);
    return is;
}

LD_PUBLIC int ld_gateway_add_handler(struct ld_gateway *g, const char *name,
                                     const struct ld_handler *h)
{
    struct ld_native *n;
    int code = ld_embed_free(g);

    if (code || (code = check(name, h)))
        return code;
    if (g->stage != LD_STAGE_NEW)
        return ld_refuse(LD_ERR_STATE, "the gateway has been loaded already");
    if (find(g, name) || is_script(g, name))
        return ld_refuse(LD_ERR_ARGUMENT, "there is a handler '%s' already",
                         name);
    n = calloc(1, sizeof(*n));
    if (!n || !(n->name = strdup(name))) {
        free(n);
        return ld_refuse(LD_ERR_MEMORY, "out of memory");
    }
    n->gateway = g;
    n->ctx = h->ctx;
    n->on_message = h->on_message;
    n->on_error = h->on_error;
    n->on_close = h->on_close;
    code = copy_states(n, h);
    if (code) {
        free_native(n);
        return code;
    }
    n->next = g->natives;
    g->natives = n;
    return 0;
}

/* Those used last are kept: a host may make formats as it goes. */
const struct ld_format *ld_native_format(struct ld_native *n,
                                         const char *format)
{
    struct ld_native_pack *p;
    struct ld_format *f;
    char *source;

    for (size_t i = 0; i < n->pack_count; i++)
        if (strcmp(n->packs[i].source, format) == 0)
            return n->packs[i].format;
    source = strdup(format);
    f = source ? compile(format, n->name) : NULL;
    if (!f) {
        free(source);
        return NULL;
    }
    p = &n->packs[n->pack_next];
    n->pack_next = (n->pack_next + 1) % LD_NATIVE_PACKS;
    if (n->pack_count < LD_NATIVE_PACKS)
        n->pack_count++;
    free(p->source);
    ld_format_free(p->format);
    *p = (struct ld_native_pack){source, f};
    return f;
}

static void set_number(lua_State *L, const char *key, double value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, key);
}

/* core.native(name) -> nil | { handle =, on_message =, on_error =, booleans,
 * [i] = { name =, format =, idle =, total = }... } */
static int l_native(lua_State *L)
{
    const struct ld_vm *vm = ld_vm_of(L);
    struct ld_native *n =
        vm->gateway ? find(vm->gateway, luaL_checkstring(L, 1)) : NULL;

    if (!n)
        return 0;
    lua_createtable(L, (int)n->state_count, 3);
    lua_pushlightuserdata(L, n);
    lua_setfield(L, -2, "handle");
    lua_pushboolean(L, n->on_message != NULL);
    lua_setfield(L, -2, "on_message");
    lua_pushboolean(L, n->on_error != NULL);
    lua_setfield(L, -2, "on_error");
    for (size_t i = 0; i < n->state_count; i++) {
        const struct ld_native_state *st = &n->states[i];

        lua_createtable(L, 0, 4);
        lua_pushstring(L, st->name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, st->source);
        lua_setfield(L, -2, "format");
        set_number(L, "idle", st->idle);
        set_number(L, "total", st->total);
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

/* The host's function is called for the connection whose handle is at 2; L is
 * what the core has to use meanwhile. */
static bool open_session(lua_State *L, struct ld_session *s)
{
    struct ld_vm *vm = ld_vm_of(L);

    s->native = lua_touserdata(L, 1);
    s->conn = ld_vm_conn(vm, (int64_t)luaL_checknumber(L, 2));
    s->L = L;
    s->reason[0] = 0;
    return s->conn != NULL;
}

static void enter_host(struct ld_session *s)
{
    struct ld_vm *vm = s->native->gateway->vm;

    s->outer = vm->L;
    vm->L = s->L;
    s->native->gateway->deep++;
    s->native->gateway->inside++;
}

static void leave_host(const struct ld_session *s)
{
    s->native->gateway->inside--;
    s->native->gateway->deep--;
    s->native->gateway->vm->L = s->outer;
}

/* The name of state NEXT; nil: it is over; or false and a reason. */
static int push_next(const struct ld_session *s, int next)
{
    lua_State *L = s->L;

    if (next >= 0 && (size_t)next < s->native->state_count) {
        lua_pushstring(L, s->native->states[next].name);
        return 1;
    }
    if (next == LD_STATE_END)
        return 0;
    if (next != LD_STATE_FAIL)
        return luaL_error(L, "handler '%s' returned %d, which is no state",
                          s->native->name, next);
    lua_pushboolean(L, 0);
    lua_pushstring(L, *s->reason ? s->reason : "failed");
    return 2;
}

static int call_state(struct ld_session *s, const struct ld_native_state *st)
{
    struct ld_frame f;

    f.count = 0;
    f.whole = st->format != NULL;
    f.result = s->conn->pool->result;
    if (st->format)
        ld_native_look(&f, st, f.result);
    return st->run(s, &f);
}

/* Is a frame of ST, the next state, there already, and may it be entered with
 * no more ado? */
static bool goes_on(const struct ld_session *s,
                    const struct ld_native_state *st)
{
    struct ld_conn *c = s->conn;

    return st->format && ld_conn_unread(c) > 0 && c->pool->running == c &&
           ld_task_machine(c)->in_bursts &&
           !(c->doom | c->news | c->wait | c->parked) &&
           !ld_conn_over_high_water(c) &&
           ld_conn_enter(c, st->index) == LD_OK &&
           ld_conn_unpack_running(c, st->format, LD_OPENS | LD_NOWAIT) ==
               LD_OK &&
           c->pool->result->size > 0; /* else the watchdog is to see it */
}

/* core.native_run(handle, conn, state) -> the next state's name, nothing, or
 * false and why it failed; the frame is in the result.  Frames that came with
 * it are done here, too: what a state would do in Lua between two of them is
 * the same. */
static int l_run(lua_State *L)
{
    const struct ld_native_state *st;
    struct ld_session s;
    int next;

    if (!open_session(L, &s))
        return 0;
    st = &s.native->states[(size_t)luaL_checknumber(L, 3) - 1];
    enter_host(&s);
    do {
        next = call_state(&s, st);
        if (next < 0 || (size_t)next >= s.native->state_count)
            break;
        st = &s.native->states[next];
    } while (goes_on(&s, st));
    leave_host(&s);
    return push_next(&s, next);
}

/* core.native_order(handle, indices): which of the machine's states, from 0,
 * each of the handler's is. */
static int l_order(lua_State *L)
{
    struct ld_native *n = lua_touserdata(L, 1);

    luaL_checktype(L, 2, LUA_TTABLE);
    for (size_t i = 0; i < n->state_count; i++) {
        lua_rawgeti(L, 2, (int)i + 1);
        n->states[i].index = (uint32_t)luaL_checknumber(L, -1);
        lua_pop(L, 1);
    }
    return 0;
}

/* core.native_message(handle, conn, topic, message) -> true: as before; or as
 * above */
static int l_message(lua_State *L)
{
    const char *topic = luaL_optstring(L, 3, "");
    size_t size;
    const char *message = luaL_checklstring(L, 4, &size);
    struct ld_session s;
    int next;

    if (!open_session(L, &s))
        return 0;
    enter_host(&s);
    next = s.native->on_message(&s, topic, message, size);
    leave_host(&s);
    if (next != LD_STATE_STAY)
        return push_next(&s, next);
    lua_pushboolean(L, 1);
    return 1;
}

/* core.native_error(handle, conn, code, text) -> as above */
static int l_error(lua_State *L)
{
    const char *code = luaL_checkstring(L, 3), *text = luaL_checkstring(L, 4);
    struct ld_session s;
    int next;

    if (!open_session(L, &s))
        return 0;
    enter_host(&s);
    next = s.native->on_error(&s, code, text);
    leave_host(&s);
    return next >= 0 ? push_next(&s, next) : 0;
}

void ld_native_closed(struct ld_vm *vm, struct ld_conn *c)
{
    struct ld_native *n = ld_task_machine(c)->native;
    struct ld_session s = {.native = n, .conn = c, .L = vm->L};

    if (!n || !n->on_close)
        return;
    enter_host(&s);
    n->on_close(&s);
    leave_host(&s);
}

static const luaL_Reg native[] = {
    {"native", l_native},      {"native_run", l_run},
    {"native_order", l_order}, {"native_message", l_message},
    {"native_error", l_error}, {NULL, NULL}};

void ld_lib_native(lua_State *L)
{
    luaL_register(L, NULL, native);
}

/* lib_core.c -- the module linedancer.core: what lua/linedancer needs of the
 * core besides the leaves.  Handlers never see it.
 */
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "embedded.h"
#include "lib_core.h"
#include "vm.h"

static const char *embedded(const char *name)
{
    for (const struct ld_embedded *e = ld_embedded; e->name; e++)
        if (strcmp(e->name, name) == 0)
            return (const char *)e->data;
    return "";
}

/* Append TEXT to B without the lines that only a preprocessor understands. */
static void add_declarations(luaL_Buffer *b, const char *text)
{
    while (*text) {
        const char *end = strchr(text, '\n');
        size_t len = end ? (size_t)(end - text) + 1 : strlen(text);

        if (*text != '#')
            luaL_addlstring(b, text, len);
        text += len;
    }
}

static void push_cdef(lua_State *L)
{
    luaL_Buffer b;

    luaL_buffinit(L, &b);
    add_declarations(&b, embedded("value.h"));
    add_declarations(&b, embedded("api.h"));
    luaL_pushresult(&b);
}

/* T[KEY], if there is one, becomes what *REF refers to. */
static void boot_ref(lua_State *L, const char *key, int *ref)
{
    lua_getfield(L, 1, key);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    luaL_argcheck(L, lua_isfunction(L, -1), 1, key);
    luaL_unref(L, LUA_REGISTRYINDEX, *ref);
    *ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* core.boot{ run=, finish=, closed=, drain=, task=, news=, alarm=, stray=,
 * reload= }:
 * the functions that C calls; those that are absent stay. */
static int l_boot(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);

    luaL_checktype(L, 1, LUA_TTABLE);
    boot_ref(L, "run", &vm->run_ref);
    boot_ref(L, "finish", &vm->finish_ref);
    boot_ref(L, "closed", &vm->closed_ref);
    boot_ref(L, "drain", &vm->drain_ref);
    boot_ref(L, "task", &vm->task_ref);
    boot_ref(L, "news", &vm->news_ref);
    boot_ref(L, "alarm", &vm->alarm_ref);
    boot_ref(L, "stray", &vm->stray_ref);
    boot_ref(L, "reload", &vm->reload_ref);
    return 0;
}

/* core.tokens(wait, park): what a coroutine yields to read and to be woken. */
static int l_tokens(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TTABLE);
    vm->wait_token = lua_topointer(L, 1);
    vm->park_token = lua_topointer(L, 2);
    lua_getglobal(L, "pcall");
    lua_getglobal(L, "xpcall");
    vm->catchers[0] = lua_topointer(L, -2);
    vm->catchers[1] = lua_topointer(L, -1);
    return 0;
}

static void push_field(lua_State *L, const struct ld_field *f)
{
    static const char *const kinds[] = {"number", "int64",  "uint64", "string",
                                        "slice",  "repeat", "if",     "end"};

    lua_createtable(L, 0, 5);
    lua_pushstring(L, kinds[f->kind]);
    lua_setfield(L, -2, "kind");
    if (*f->name) {
        lua_pushstring(L, f->name);
        lua_setfield(L, -2, "name");
    }
    lua_pushboolean(L, f->hidden);
    lua_setfield(L, -2, "hidden");
    if (f->ref >= 0) {
        lua_pushinteger(L, f->ref + 1);
        lua_setfield(L, -2, "ref");
    }
    lua_pushinteger(L, f->adjust);
    lua_setfield(L, -2, "adjust");
}

/* A free id for a format, from 1; 0 when memory is out. */
static uint32_t take_format_id(struct ld_vm *vm)
{
    struct ld_format **grown;
    uint32_t i = vm->format_gap, cap;

    while (i < vm->format_count && vm->formats[i])
        i++;
    vm->format_gap = i;
    if (i < vm->format_count)
        return i + 1;
    if (i == vm->format_cap) {
        cap = vm->format_cap ? 2 * vm->format_cap : 64;
        grown = realloc(vm->formats, cap * sizeof(struct ld_format *));
        if (!grown)
            return 0;
        vm->formats = grown;
        vm->format_cap = cap;
    }
    vm->formats[vm->format_count++] = NULL;
    return i + 1;
}

/* core.format(source) -> id, fields | nil, column, message */
static int l_format(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_format_error err;
    const struct ld_field *fields;
    struct ld_format *f;
    size_t len;
    const char *src = luaL_checklstring(L, 1, &len);
    uint32_t id, count;

    f = ld_format_compile(src, len, &err);
    if (!f) {
        lua_pushnil(L);
        lua_pushinteger(L, (lua_Integer)err.column);
        lua_pushstring(L, err.message);
        return 3;
    }
    id = take_format_id(vm);
    if (id == 0) {
        ld_format_free(f);
        return luaL_error(L, "out of memory");
    }
    vm->formats[id - 1] = f;
    fields = ld_format_fields(f, &count);
    lua_pushinteger(L, (lua_Integer)id);
    lua_createtable(L, (int)count, 0);
    for (uint32_t i = 0; i < count; i++) {
        push_field(L, &fields[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 2;
}

double ld_lib_number(lua_State *L, int t, const char *key, double fallback)
{
    double n;

    lua_getfield(L, t, key);
    n = lua_isnumber(L, -1) ? lua_tonumber(L, -1) : fallback;
    lua_pop(L, 1);
    return n;
}

static struct ld_timeouts *read_timeouts(lua_State *L, int t, uint32_t *count)
{
    struct ld_timeouts *timeouts;
    uint32_t n = (uint32_t)lua_objlen(L, t);

    timeouts = calloc(n ? n : 1, sizeof(*timeouts));
    if (!timeouts)
        luaL_error(L, "out of memory");
    for (uint32_t i = 0; i < n; i++) {
        lua_rawgeti(L, t, (int)i + 1);
        timeouts[i].idle = ld_lib_number(L, lua_gettop(L), "idle", HUGE_VAL);
        timeouts[i].total = ld_lib_number(L, lua_gettop(L), "total", HUGE_VAL);
        lua_pop(L, 1);
    }
    *count = n;
    return timeouts;
}

/* What the table at T limits: frame=, output=, in bytes; linger=, lifetime=,
 * stall=, in seconds. */
static void read_limits(lua_State *L, int t, struct ld_profile *p)
{
    p->frame_limit = (uint32_t)ld_lib_number(L, t, "frame", 1 << 20);
    p->output_limit = (uint32_t)ld_lib_number(L, t, "output", 1 << 20);
    p->linger = ld_lib_number(L, t, "linger", 5);
    p->lifetime = ld_lib_number(L, t, "lifetime", HUGE_VAL);
    p->stall = ld_lib_number(L, t, "stall", HUGE_VAL);
}

/* core.limit(machine, limits): they hold from now on, for what is there, too;
 * deadlines from when they are next looked at. */
static int l_limit(lua_State *L)
{
    struct ld_machine *m = lua_touserdata(L, 1);

    luaL_argcheck(L, m, 1, "machine expected");
    luaL_checktype(L, 2, LUA_TTABLE);
    read_limits(L, 2, &m->profile);
    return 0;
}

/* core.machine{ class=, timeouts={ {idle=,total=}... by state }, limits as of
 * core.limit(), watches_end= } -> lightuserdata, good for the VM's life */
static int l_machine(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_machine *m;
    uint32_t count;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "timeouts");
    luaL_checktype(L, -1, LUA_TTABLE);
    m = calloc(1, sizeof(*m));
    if (!m)
        return luaL_error(L, "out of memory");
    m->profile.timeouts = read_timeouts(L, lua_gettop(L), &count);
    m->profile.state_count = count;
    read_limits(L, 1, &m->profile);
    lua_getfield(L, 1, "watches_end");
    m->watches_end = lua_toboolean(L, -1);
    lua_getfield(L, 1, "native");
    m->native = lua_touserdata(L, -1);
    lua_getfield(L, 1, "in_bursts");
    m->in_bursts = lua_toboolean(L, -1);
    lua_getfield(L, 1, "class");
    m->class_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    m->next = vm->machines;
    vm->machines = m;
    lua_pushlightuserdata(L, m);
    return 1;
}

/* core.forget_machine(machine): nothing is made of it any more, and all that
 * was has ended. */
static int l_forget_machine(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    struct ld_machine *m = lua_touserdata(L, 1), **at = &vm->machines;

    while (*at && *at != m)
        at = &(*at)->next;
    if (!*at)
        return 0;
    *at = m->next;
    luaL_unref(L, LUA_REGISTRYINDEX, m->class_ref);
    free((void *)m->profile.timeouts);
    free(m);
    return 0;
}

/* core.next(table, key): the library's `next`, but never compiled; see
 * linedancer.traversal. */
static int l_next(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    if (lua_next(L, 1))
        return 2;
    lua_pushnil(L);
    return 1;
}

/* The text at INDEX, in which a NUL, which would hide the rest, is a "?". */
static const char *whole_text(lua_State *L, int index)
{
    size_t n;
    const char *p = luaL_optlstring(L, index, "", &n);
    luaL_Buffer b;

    if (!memchr(p, 0, n))
        return p;
    luaL_buffinit(L, &b);
    for (size_t i = 0; i < n; i++)
        luaL_addchar(&b, p[i] ? p[i] : '?');
    luaL_pushresult(&b);
    lua_replace(L, index);
    return lua_tostring(L, index);
}

/* core.log(level, event, fields): one line. */
static int l_log(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    int level = ld_log_level(luaL_checkstring(L, 1));

    luaL_argcheck(L, level >= 0, 1, "debug, info, warn or error expected");
    ld_log(vm->log, (enum ld_level)level, whole_text(L, 2), "%s",
           whole_text(L, 3));
    return 0;
}

/* core.logs(level): would a line of this level be written? */
static int l_logs(lua_State *L)
{
    int level = ld_log_level(luaL_checkstring(L, 1));

    lua_pushboolean(L, level >= (int)ld_vm_of(L)->log->level);
    return 1;
}

/* core.log_level(name): set the level below which lines are dropped. */
static int l_log_level(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);
    int level = ld_log_level(luaL_checkstring(L, 1));

    luaL_argcheck(L, level >= 0, 1, "debug, info, warn or error expected");
    vm->log->level = (enum ld_level)level;
    return 0;
}

static const luaL_Reg core[] = {{"boot", l_boot},
                                {"tokens", l_tokens},
                                {"format", l_format},
                                {"next", l_next},
                                {"machine", l_machine},
                                {"limit", l_limit},
                                {"log", l_log},
                                {"logs", l_logs},
                                {"log_level", l_log_level},
                                {"forget_machine", l_forget_machine},
                                {NULL, NULL}};

__attribute__((visibility("default"))) int luaopen_linedancer_core(lua_State *L)
{
    struct ld_vm *vm = ld_vm_of(L);

    if (!vm)
        vm = ld_vm_open(L, NULL, NULL);
    lua_newtable(L);
    luaL_register(L, NULL, core);
    ld_lib_conn(L);
    ld_lib_direct(L);
    ld_lib_task(L);
    ld_lib_testing(L);
    ld_lib_gateway(L);
    ld_lib_confine(L);
    ld_lib_port(L);
    ld_lib_bus(L);
    ld_lib_dial(L);
    ld_lib_channel(L);
    ld_lib_crypto(L);
    ld_lib_tls_open(L);
    ld_lib_secure(L);
    ld_lib_address(L);
    ld_lib_pattern(L);
    ld_lib_limits(L);
    ld_lib_world(L);
    ld_lib_embed(L);
    ld_lib_native(L);
    lua_pushlightuserdata(L, &vm->api);
    lua_setfield(L, -2, "api");
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->conns_ref);
    lua_setfield(L, -2, "by_slot"); /* tables of connections, from 1 */
    push_cdef(L);
    lua_setfield(L, -2, "cdef");
    lua_pushinteger(L, LD_HIGH_WATER);
    lua_setfield(L, -2, "high_water");
    lua_pushstring(L, LD_VERSION);
    lua_setfield(L, -2, "version");
    for (int st = 0; st < LD_STATUS_COUNT; st++) {
        lua_pushstring(L, ld_strstatus((enum ld_status)st));
        lua_rawseti(L, -2, st);
    }
    return 1;
}

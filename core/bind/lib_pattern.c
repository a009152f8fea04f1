/* lib_pattern.c -- string.find, match, gmatch and gsub over pattern.c, for
 * scripts that are not trusted: the same results, in bounded time.
 */
#define _GNU_SOURCE
#include <lauxlib.h>
#include <string.h>

#include "pattern.h"
#include "vm.h"

struct subject {
    const char *text, *pattern;
    size_t size, pattern_size;
    bool anchored;
};

static struct subject read_subject(lua_State *L, bool anchors)
{
    struct subject s;

    s.text = luaL_checklstring(L, 1, &s.size);
    s.pattern = luaL_checklstring(L, 2, &s.pattern_size);
    s.anchored = anchors && s.pattern_size > 0 && *s.pattern == '^';
    if (s.anchored) {
        s.pattern++;
        s.pattern_size--;
    }
    return s;
}

static void begin(struct ld_match *m, const struct subject *s)
{
    ld_match_init(m, s->text, s->size, s->pattern + s->pattern_size);
}

/* The match of S at AT, or the next behind it: its end, and *FROM. */
static const char *find_from(lua_State *L, struct ld_match *m,
                             const struct subject *s, const char *at,
                             const char **from)
{
    const char *end;

    do {
        m->count = 0;
        end = ld_match(m, at, s->pattern);
        if (m->wrong)
            luaL_error(L, "%s", m->wrong);
        if (end) {
            *from = at;
            return end;
        }
    } while (at++ < m->text_end && !s->anchored);
    return NULL;
}

static void push_capture(lua_State *L, const struct ld_match *m, int i,
                         const char *from, const char *end)
{
    const struct ld_capture *c = &m->captures[i];

    if (i >= m->count && i == 0)
        lua_pushlstring(L, from, (size_t)(end - from));
    else if (i >= m->count)
        luaL_error(L, "invalid capture index");
    else if (c->size == LD_CAPTURE_POSITION)
        lua_pushinteger(L, c->at - m->text + 1);
    else if (c->size == LD_CAPTURE_OPEN)
        luaL_error(L, "unfinished capture");
    else
        lua_pushlstring(L, c->at, (size_t)c->size);
}

/* All captures; the whole match, if WHOLE, when there is none. */
static int push_captures(lua_State *L, const struct ld_match *m,
                         const char *from, const char *end, bool whole)
{
    int count = m->count == 0 && whole ? 1 : m->count;

    luaL_checkstack(L, count, "too many captures");
    for (int i = 0; i < count; i++)
        push_capture(L, m, i, from, end);
    return count;
}

/* The place that argument 3 names; beyond the text, its end, as in LuaJIT. */
static const char *first_place(lua_State *L, const struct subject *s)
{
    lua_Number n = luaL_optnumber(L, 3, 1);

    if (n < 0)
        n += (lua_Number)s->size + 1;
    if (n < 1)
        n = 1;
    if (n - 1 > (lua_Number)s->size)
        n = (lua_Number)s->size + 1;
    return s->text + (size_t)(n - 1);
}

/* Is PATTERN but text, for find?  A ) alone is, in LuaJIT. */
static bool is_text(lua_State *L)
{
    size_t size;
    const char *p = luaL_checklstring(L, 2, &size);

    for (size_t i = 0; i < size; i++)
        if (p[i] && strchr("^$*+?.([%-", p[i]))
            return false;
    return true;
}

/* find(text, pattern [, from [, plain]]) */
static int l_find(lua_State *L)
{
    bool plain = lua_toboolean(L, 4) || is_text(L);
    struct subject s = read_subject(L, !plain);
    const char *at = first_place(L, &s), *from, *end;
    struct ld_match m;

    if (plain) {
        from = memmem(at, (size_t)(s.text + s.size - at), s.pattern,
                      s.pattern_size);
        if (!from)
            return 0;
        lua_pushinteger(L, from - s.text + 1);
        lua_pushinteger(L, from - s.text + (ptrdiff_t)s.pattern_size);
        return 2;
    }
    begin(&m, &s);
    end = find_from(L, &m, &s, at, &from);
    if (!end)
        return 0;
    lua_pushinteger(L, from - s.text + 1);
    lua_pushinteger(L, end - s.text);
    return 2 + push_captures(L, &m, from, end, false);
}

/* match(text, pattern [, from]) */
static int l_match(lua_State *L)
{
    struct subject s = read_subject(L, true);
    const char *at = first_place(L, &s), *from, *end;
    struct ld_match m;

    begin(&m, &s);
    end = find_from(L, &m, &s, at, &from);
    return end ? push_captures(L, &m, from, end, true) : 0;
}

/* The iterator of gmatch: upvalues are the text, the pattern, and the place to
 * go on at, from 0. */
static int next_match(lua_State *L)
{
    struct subject s;
    struct ld_match m;
    const char *from, *end;
    size_t at = (size_t)lua_tonumber(L, lua_upvalueindex(3));

    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, lua_upvalueindex(2));
    s = read_subject(L, false);
    if (at > s.size)
        return 0;
    begin(&m, &s);
    end = find_from(L, &m, &s, s.text + at, &from);
    if (!end)
        return 0;
    lua_pushnumber(L, (lua_Number)(end - s.text) + (end == from));
    lua_replace(L, lua_upvalueindex(3));
    return push_captures(L, &m, from, end, true);
}

/* gmatch(text, pattern) */
static int l_gmatch(lua_State *L)
{
    luaL_checkstring(L, 1);
    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    lua_pushnumber(L, 0);
    lua_pushcclosure(L, next_match, 3);
    return 1;
}

/* Add the replacement text at 3, with its captures. */
static void add_text(lua_State *L, luaL_Buffer *b, const struct ld_match *m,
                     const char *from, const char *end)
{
    size_t size;
    const char *p = lua_tolstring(L, 3, &size);

    for (size_t i = 0; i < size; i++) {
        if (p[i] != '%') {
            luaL_addchar(b, p[i]);
        } else if (++i == size || p[i] < '0' || p[i] > '9') {
            luaL_addchar(b, i == size ? '%' : p[i]);
        } else if (p[i] == '0') {
            luaL_addlstring(b, from, (size_t)(end - from));
        } else {
            push_capture(L, m, p[i] - '1', from, end);
            luaL_addvalue(b);
        }
    }
}

/* Push what the function or table at 3 has for the match. */
static void push_replacement(lua_State *L, const struct ld_match *m,
                             const char *from, const char *end)
{
    if (lua_isfunction(L, 3)) {
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(L, m, from, end, true), 1);
    } else {
        push_capture(L, m, 0, from, end);
        lua_gettable(L, 3);
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        lua_pushlstring(L, from, (size_t)(end - from));
    } else if (!lua_isstring(L, -1)) {
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    }
}

/* gsub(text, pattern, replacement [, most]) */
static int l_gsub(lua_State *L)
{
    struct subject s = read_subject(L, true);
    lua_Number most = luaL_optnumber(L, 4, (lua_Number)s.size + 1), count = 0;
    const char *at = s.text, *from, *end;
    bool text = lua_isstring(L, 3);
    struct ld_match m;
    luaL_Buffer b;

    luaL_argcheck(L, text || lua_isfunction(L, 3) || lua_istable(L, 3), 3,
                  "string/function/table expected");
    lua_settop(L, 3);
    begin(&m, &s);
    luaL_buffinit(L, &b);
    while (count < most && (end = find_from(L, &m, &s, at, &from))) {
        luaL_addlstring(&b, at, (size_t)(from - at));
        count++;
        if (text) {
            add_text(L, &b, &m, from, end);
        } else {
            push_replacement(L, &m, from, end);
            luaL_addvalue(&b);
        }
        at = end;
        if (end == from && at < m.text_end)
            luaL_addchar(&b, *at++);
        else if (end == from)
            break;
        if (s.anchored)
            break;
    }
    luaL_addlstring(&b, at, (size_t)(m.text_end - at));
    luaL_pushresult(&b);
    lua_pushnumber(L, count);
    return 2;
}

static const luaL_Reg functions[] = {{"find", l_find},
                                     {"match", l_match},
                                     {"gmatch", l_gmatch},
                                     {"gsub", l_gsub},
                                     {NULL, NULL}};

/* core.patterns: { find =, match =, gmatch =, gsub = } */
void ld_lib_pattern(lua_State *L)
{
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    lua_setfield(L, -2, "patterns");
}

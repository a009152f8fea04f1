/* lib_confine.c -- the part of linedancer.core about what this process may do,
 * and how much.
 */
#include <dirent.h>
#include <lauxlib.h>
#include <math.h>
#include <sys/resource.h>

#include "../confine.h"
#include "../syscalls.h"
#include "gateway.h"
#include "lib_core.h"

static int refused(lua_State *L, const char *why)
{
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
}

/* core.identity(user, group or nil) -> uid, gid | nil, why this process cannot
 * have them */
static int l_identity(lua_State *L)
{
    struct ld_confinement c = {0};
    char why[512];

    if (!ld_confine_find(luaL_checkstring(L, 1), luaL_optstring(L, 2, NULL), &c,
                         why, sizeof(why)))
        return refused(L, why);
    lua_pushnumber(L, c.uid);
    lua_pushnumber(L, c.gid);
    return 2;
}

/* core.confine(user, uid, gid, no_new_privs, seccomp) -> true | nil, why not.
 * For a process that is there to plan: whoever serves has been confined. */
static int l_confine(lua_State *L)
{
    struct ld_confinement c = {.user = (char *)luaL_checkstring(L, 1),
                               .uid = (uid_t)luaL_checknumber(L, 2),
                               .gid = (gid_t)luaL_checknumber(L, 3),
                               .no_new_privs = lua_toboolean(L, 4),
                               .seccomp = lua_toboolean(L, 5)};
    char why[256];

    if (ld_gateway_role(L)->kind != LD_ROLE_PLAN)
        return luaL_error(L, "this process is not there to plan");
    if (!ld_confine(&c, why, sizeof(why)))
        return refused(L, why);
    lua_pushboolean(L, true);
    return 1;
}

/* core.descriptors() -> how many this process may have, and has */
static int l_descriptors(lua_State *L)
{
    struct rlimit limit;
    DIR *d = opendir("/proc/self/fd");
    lua_Integer count = -3; /* two dots, and the directory itself */

    while (d && readdir(d))
        count++;
    if (d)
        closedir(d);
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        lua_pushnumber(L, HUGE_VAL);
    else
        lua_pushnumber(L, (lua_Number)limit.rlim_cur);
    lua_pushinteger(L, count > 0 ? count : 0);
    return 2;
}

static const luaL_Reg confine[] = {{"identity", l_identity},
                                   {"confine", l_confine},
                                   {"descriptors", l_descriptors},
                                   {NULL, NULL}};

void ld_lib_confine(lua_State *L)
{
    luaL_register(L, NULL, confine);
    lua_pushboolean(L, ld_syscalls_can_filter());
    lua_setfield(L, -2, "seccomp");
}

/* lib_core.h -- the opener of linedancer.core, and helpers of the lib_*.c. */
#ifndef LD_LIB_CORE_H
#define LD_LIB_CORE_H

#include <lua.h>

#include "../tls.h"

int luaopen_linedancer_core(lua_State *L);
int luaopen_linedancer(lua_State *L);

/* Field KEY of the table at index T if it is a number, else FALLBACK. */
double ld_lib_number(lua_State *L, int t, const char *key, double fallback);

/* What core.tls_context() has returned, at INDEX: the caller's to unref; or
 * NULL for nil. */
struct ld_tls_context *ld_lib_tls(lua_State *L, int index);

#endif

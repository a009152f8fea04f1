/* fuzz_rtmp_session.c -- a client's commands and media; see rtmp.lua. */
#define LUA_SCRIPT "tests/fuzz/rtmp.lua"
#define LUA_TARGET "session"
#include "lua_target.h"

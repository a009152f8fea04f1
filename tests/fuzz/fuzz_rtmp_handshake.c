/* fuzz_rtmp_handshake.c -- both sides of RTMP's handshake; see rtmp.lua. */
#define LUA_SCRIPT "tests/fuzz/rtmp.lua"
#define LUA_TARGET "handshake"
#include "lua_target.h"

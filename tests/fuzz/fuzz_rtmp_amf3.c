/* fuzz_rtmp_amf3.c -- AMF3; see rtmp.lua. */
#define LUA_SCRIPT "tests/fuzz/rtmp.lua"
#define LUA_TARGET "amf3"
#include "lua_target.h"

/* fuzz_rtmp_amf0.c -- AMF0; see rtmp.lua. */
#define LUA_SCRIPT "tests/fuzz/rtmp.lua"
#define LUA_TARGET "amf0"
#include "lua_target.h"

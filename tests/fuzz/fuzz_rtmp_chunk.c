/* fuzz_rtmp_chunk.c -- the chunk reader of RTMP; see rtmp.lua. */
#define LUA_SCRIPT "tests/fuzz/rtmp.lua"
#define LUA_TARGET "chunk"
#include "lua_target.h"

--- linedancer.api: the leaves of the C core, for the other modules here alone.
--
-- core/bind/api.h says what each leaf takes and returns. They are kept as upvalues by those who call them,
-- so that a compiled trace calls the C function directly.
require("linedancer.traversal").install() -- first of all
local core = require "linedancer.core"
local ffi = require "ffi"

ffi.cdef(core.cdef)

local api = ffi.cast("struct ld_api *", core.api)

local M = {
  core = core,
  struct = api,
  vm = api.vm,
  result = api.result,
  values = api.result.values,
  args = api.args,
  refs = api.refs,
  --- Flags of the reads; see conn.h.
  OPENS = 1, KEEP = 2, NOWAIT = 4,
  --- Kinds of args; see value.h and api.h.
  NIL = 0, NUMBER = 1, INT64 = 2, UINT64 = 3, BYTES = 4, COUNT = 6, GROUP = 7, SLICE = 8,
  --- What a coroutine yields to read, and to be woken.
  WAIT = setmetatable({}, { __tostring = function() return "wait" end }),
  PARK = setmetatable({}, { __tostring = function() return "park" end }),
  --- News of a connection; see conn.h.
  MAIL = 1, MOVED = 4, POSTPONED = 8,
  --- Without the JIT, a C function is the faster way into the core.
  jit = require("jit").status(),
}

--- Statuses by name: M.status.AGAIN == 1, and their names by number.
M.status = {}
for st = 0, #core do
  M.status[core[st]:upper()] = st
  M.status[st] = core[st]
end

core.tokens(M.WAIT, M.PARK)

return M

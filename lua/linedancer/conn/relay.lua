--- linedancer.conn.relay: what a connection does with another one's output, and how it waits for it to drain.
--
-- Bytes are moved in C as they come. Each side waits for the other: what a slow reader does not take is left with the
-- sender, but for some 100 KB.
local api = require "linedancer.api"
local await = require "linedancer.await"
local conns = require "linedancer.conn"
local errors = require "linedancer.errors"
local park = require "linedancer.park"

local W, R, V, WAIT, status = api.vm, api.result, api.values, api.WAIT, api.status
local leaf, conn = api.struct, conns.methods
local leaf_relay, leaf_pipe, leaf_flush, drained, alive =
  leaf.relay, leaf.pipe, leaf.flush, leaf.drained, leaf.alive
local AGAIN, BUSY, CLOSED = status.AGAIN, status.BUSY, status.CLOSED
local yield = coroutine.yield

local function check_conn(x)
  if type(x) ~= "table" or type(x[1]) ~= "number" then
    error("connection expected, got " .. type(x), 3)
  end
end

-- SELF's wait for OTHER failed with status ST: raise it as an error of the one at fault.
local function fail(self, other, st)
  if alive(W, self[1]) == 0 or self == other then await.raise(self, st) end
  if alive(W, other[1]) == 1 then
    if st == CLOSED then error(errors.new("closed", "output of the other connection has been shut", other), 0) end
    await.raise(self, st)
  end
  local err = await.failure(other, status[st])
  err.message = "the other connection: " .. err.message
  error(err, 0)
end

--- Move N bytes of the frame, any N, to the output of DST, in C, as they come and as DST's peer takes them. An end of
-- this side before raises `truncated`; when DST ends, its error is raised. Both may be the same connection.
---@function conn:relay
---@async
---@param dst linedancer.Conn where they go
---@param n integer bytes, up to 2^53
---@raise truncated, and the errors of DST
function conn:relay(dst, n)
  check_conn(dst)
  if type(n) ~= "number" or not (n >= 0 and n <= 2 ^ 53) or n % 1 ~= 0 then
    error("a number of bytes expected, got " .. tostring(n), 2)
  end
  local st = leaf_relay(W, self[1], dst[1], n)
  if st == AGAIN then
    yield(WAIT)
    st = R.status
  end
  if st ~= 0 then fail(self, dst, st) end
end

--- Move all bytes, both ways, until both sides have ended and the other has taken all. The end of one side ends the
-- output of the other, and the rest goes on. Returns how many bytes went to OTHER, and how many came back. Raises the
-- error of the one that fails first.
---@function conn:pipe
---@async
---@param other linedancer.Conn the other side
---@return integer there bytes that went to OTHER
---@return integer back bytes that came from it
---@raise the errors of either
function conn:pipe(other)
  check_conn(other)
  if other[1] == self[1] then error("a connection cannot be piped to itself", 2) end
  local st = leaf_pipe(W, self[1], other[1])
  if st == AGAIN then
    yield(WAIT)
    st = R.status
  end
  if st ~= 0 then fail(self, other, st) end
  return V[0].n, V[1].n
end

-- The coroutine that runs is not the connection's own, or another one reads that.
local function flush_parked(self)
  local st
  repeat
    park.sleep()
    st = drained(W, self[1])
  until st ~= BUSY
  if st ~= 0 then await.raise(self, st) end
end

--- Wait until the kernel has taken all output. Any task may.
---@function conn:flush
---@async
function conn:flush()
  local st = leaf_flush(W, self[1])
  if st == BUSY then return flush_parked(self) end
  if st ~= 0 then await.await(self, st) end
end

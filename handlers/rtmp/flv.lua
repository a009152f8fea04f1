--- rtmp/flv: audio, video and data as an FLV file or stream has them. (FLV spec E.2 to E.4.)
--
--   "FLV" 1 flags:u8 9:u32 0:u32    kind:u8 size:u24 time:u24 time's highest byte:u8 0:u24 body tag's size:u32 ...
local ld = require "linedancer"

local M = {}

local AUDIO, VIDEO = 4, 1 -- flags

--- What a file begins with, and the size of no tag before; says whether there is AUDIO and VIDEO (both by default).
function M.header(audio, video)
  local flags = (audio == false and 0 or AUDIO) + (video == false and 0 or VIDEO)
  return "FLV\1" .. string.char(flags) .. "\0\0\0\9\0\0\0\0"
end

--- The tag of a message of KIND (8, 9 or 18) at TIME (milliseconds, mod 2^32) with BODY (a string, slice or buffer).
-- OUT: a buffer to use, which is cleared; default a new one. Returns the buffer.
function M.tag(kind, time, body, out)
  local size = #body
  out = out and out:clear() or ld.buffer()
  out:pack(">B I3 I3 B I3", kind, size, time % 2 ^ 24, math.floor(time / 2 ^ 24), 0)
  out:put(body)
  return out:pack(">I4", size + 11)
end

--- Read from CONN what begins a file: true; or nil at its end. Raises `fail` for what is no FLV.
function M.read_header(conn)
  local mark, _, _, size = conn:unpack ">c3 B B I4"
  if not mark then return nil end
  if mark ~= "FLV" or size < 9 then conn:fail "this is no FLV" end
  conn:skip(size - 9 + 4)
  return true
end

--- Read the next tag from CONN: kind, time and body, a buffer; or nil at the end.
function M.read(conn)
  local kind, size, low, high = conn:unpack ">B I3 I3 B x3"
  if not kind then return nil end
  local body = conn:read_into(ld.buffer(), size)
  conn:skip(4)
  return kind, high * 2 ^ 24 + low, body
end

return M

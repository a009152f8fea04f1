-- ./dev build && build/linedancer run --listen 127.0.0.1:7003 --handler examples/tlv.lua
-- printf 'LD\1\7\0\5hello' | nc -N 127.0.0.1 7003 | od -An -c
--
-- The shape of a handler: one state for the handshake, one for each frame.
--
--   hello   'LD' version:u8            answered by OK LF
--   frame   kind:u8 size:u16 body      big-endian; sent back as it came
--
--   hello --> frame --> frame ...      until the peer ends its side between frames
local VERSION, BODY_MAX = 1, 4096

local states = {}

function states.hello(conn)
  local version = conn:unpack "'LD' B"
  if not version then return end                 -- left before saying anything
  if version ~= VERSION then conn:fail("version " .. version) end
  conn:write "OK\n"
  return "frame"
end

function states.frame(conn)
  local kind, size = conn:unpack ">B I2"
  if not kind then return end                    -- a clean end between frames
  if size > BODY_MAX then conn:fail "body too large" end
  local body = conn:expect(size)                 -- an end in here is `truncated`
  conn:pack(">B s2", kind, body)
  return "frame"
end

return {
  initial = "hello",
  states = states,
  timeouts = { hello = 5, frame = { idle = 60 } },
}

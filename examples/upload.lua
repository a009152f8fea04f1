-- build/linedancer run --listen 127.0.0.1:7005 --handler examples/upload.lua
-- (printf '%s\n' $((2**30)); head -c $((2**30)) /dev/zero) | nc -N 127.0.0.1 7005
--
-- A body of any size in constant memory: it is summed as it arrives, in slices that never become Lua strings.
--
--   upload   size in decimal LF, then so many bytes     answered by size, a space and the sum of its bytes mod 2^32, LF
--
--   upload --> upload ...                               until the peer ends its side between uploads
local SIZE_MAX = 2^40

local states = {}

local function sum_of(slice)
  local sum = 0
  for at = 1, #slice - 3, 4 do
    local word = slice:u32be(at)
    sum = sum + word % 256 + math.floor(word / 2^8) % 256 + math.floor(word / 2^16) % 256 + math.floor(word / 2^24)
  end
  for at = #slice - #slice % 4 + 1, #slice do sum = sum + slice:byte(at) end
  return sum
end

function states.upload(conn)
  local size = conn:unpack 'D"\n"{13}'
  if not size then return end
  if size < 0 or size > SIZE_MAX then conn:fail("a size of " .. size) end
  local sum = 0
  for slice in conn:body(size) do sum = (sum + sum_of(slice)) % 2^32 end
  conn:write(size, " ", sum, "\n")
  return "upload"
end

return { initial = "upload", states = states, timeouts = { upload = { idle = 60 } } }

--- rtmp/output: one form in which a stream goes out: a channel, and how its messages are made.
--
-- Which form is called by a *variant*: "" is what players get on message stream 1, "#2" the same on 2, "!1" what a
-- publisher sends on 1, ".flv" the tags of a file. Each is encoded once, however many follow.
local ld = require "linedancer"
local chunk = require "handlers.rtmp.chunk"
local flv = require "handlers.rtmp.flv"

local M = {}

local AUDIO, VIDEO, DATA = 8, 9, 18
local CSID = { [AUDIO] = 4, [VIDEO] = 6, [DATA] = 5 }

--- What publishers put before metadata, and how those begin.
M.SET_DATA_FRAME, M.ON_METADATA = "\2\0\13@setDataFrame", "\2\0\10onMetaData"

--- The variant of HOW.format ("rtmp", the default, "publish" or "flv") and HOW.id, the message stream (1).
function M.variant(how)
  local id = how.id or 1
  if how.format == "flv" then return ".flv" end
  if how.format == "publish" then return "!" .. id end
  return id == 1 and "" or "#" .. id
end

--- Is BODY that of an onMetaData?
function M.is_metadata(body) return body:sub(1, #M.ON_METADATA) == M.ON_METADATA end

--- The channel of stream NAME in VARIANT. OPTS, of its publisher, may be nil: gop_bytes, gop_frames, merge.
function M.channel(name, variant, opts)
  return ld.channel("rtmp" .. variant .. "/" .. name, {
    bytes = opts and opts.gop_bytes, items = opts and opts.gop_frames, merge = opts and opts.merge, places = "marks",
  })
end

-- A function(kind, time, body) that returns the bytes of a message, good until it is called again.
local function encoder_of(variant)
  local out = ld.buffer()
  if variant == ".flv" then return function(kind, time, body) return flv.tag(kind, time, body, out) end end
  local id, publishes = tonumber(variant:match "%d+$") or 1, variant:sub(1, 1) == "!"
  return function(kind, time, body)
    if publishes and kind == DATA and M.is_metadata(body) then
      body = ld.buffer():put(M.SET_DATA_FRAME):put(body)
    end
    return chunk.encode(CSID[kind], kind, time, id, body, out)
  end
end

local Output = {}
Output.__index = Output

--- The output of stream NAME in VARIANT.
function M.new(name, variant, opts)
  return setmetatable({ channel = M.channel(name, variant, opts), encode = encoder_of(variant) }, Output)
end

--- Send a message; MARK: a viewer may begin there.
function Output:emit(kind, time, body, mark)
  self.channel:publish(self.encode(kind, time, body), mark)
end

--- What goes before anything else: METADATA, { time =, body = } or nil, and HEADERS, { { kind =, time =, body = }... }.
function Output:greet(metadata, headers)
  local head = ld.buffer()
  if metadata then head:put(self.encode(DATA, metadata.time, metadata.body)) end
  for _, header in ipairs(headers) do head:put(self.encode(header.kind, header.time, header.body)) end
  self.channel:preamble(head)
end

--- Send what OTHER, in the variant "", has had since its newest mark, if its log is in this worker.
function Output:catch_up(other)
  for _, entry in ipairs(other.channel:recent()) do
    local kind, time, _, body = chunk.decode(entry[1])
    self:emit(kind, time, body, entry[2])
  end
end

return M

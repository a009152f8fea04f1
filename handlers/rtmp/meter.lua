--- rtmp/meter: the numbers of one publication, kept by its publisher's worker.
local ld = require "linedancer"
local amf0 = require "handlers.rtmp.amf0"
local media = require "handlers.rtmp.media"

local M = {}

local VIDEO = 9
local SETTLED = 1 -- seconds of media after which a stream has the tracks that it will have

local Meter = {}
Meter.__index = Meter

local function track() return { bytes = 0, messages = 0 } end

--- The meter of stream NAME; INFO, a table of plain values, is part of what report() says.
function M.new(name, info)
  return setmetatable({
    name = name, info = info or {}, since = ld.now(), video = track(), audio = track(), keys = 0, was = {},
    described = {},
  }, Meter)
end

--- A message of KIND 8 or 9 was taken, of CLASS, as of media.inspect, with SIZE bytes.
function Meter:count(kind, time, size, class)
  local t = kind == VIDEO and self.video or self.audio
  t.bytes, t.messages = t.bytes + size, t.messages + 1
  if not self.first then self.first = ld.now() end
  if class ~= "key" then return end
  self.keys = self.keys + 1
  if self.key_time then self.key_interval = (time - self.key_time) % 2 ^ 32 end
  self.key_time = time
end

--- Number of audio and video messages so far.
function Meter:messages() return self.video.messages + self.audio.messages end

--- Does the stream have audio, and video? Nil while it is too new to tell.
function Meter:tracks()
  if not self.first or ld.now() - self.first < SETTLED then return nil end
  return self.audio.messages > 0, self.video.messages > 0
end

--- A sequence header of CODEC came.
function Meter:header(kind, codec, body)
  local about = media.describe(kind, body) or {}
  about.codec = about.codec or codec
  self.described[kind == VIDEO and "video" or "audio"] = about
end

--- A message of CODEC came that is no header: all there is to know of a codec that has none.
function Meter:seen(kind, codec, body)
  local name = kind == VIDEO and "video" or "audio"
  if codec and not self.described[name] then self.described[name] = media.describe(kind, body) end
end

--- Metadata came, the body of an onMetaData: what headers do not say is taken from it.
function Meter:metadata(body)
  local values = amf0.decode(body)
  self.encoder = type(values[2]) == "table" and type(values[2].encoder) == "string" and values[2].encoder:sub(1, 80)
    or nil
end

function Meter:stop() self.stopped = true end

local function rate(self, key, value, seconds)
  local before = self.was[key] or 0
  self.was[key] = value
  return seconds > 0 and (value - before) / seconds or 0
end

--- Numbers for people, with rates since the last report: { name, uptime (seconds), video = { codec, width, height, ...,
-- bits (per second), frames (per second) }, audio, bytes, key_interval (seconds), and INFO's }.
function Meter:report()
  local now = ld.now()
  local seconds = now - (self.was.at or self.since)
  self.was.at = now
  local report = {
    name = self.name, uptime = now - self.since, bytes = self.video.bytes + self.audio.bytes, encoder = self.encoder,
    key_interval = self.key_interval and self.key_interval / 1000, settled = self:tracks() ~= nil,
  }
  for key, value in pairs(self.info) do report[key] = value end
  for _, name in ipairs { "video", "audio" } do
    if self[name].messages > 0 then
      local part = {}
      for key, value in pairs(self.described[name] or {}) do part[key] = value end
      part.bits = 8 * rate(self, name .. " bytes", self[name].bytes, seconds)
      part.frames = rate(self, name .. " messages", self[name].messages, seconds)
      report[name] = part
    end
  end
  return report
end

return M

--- linedancer: what a handler may require.
local api = require "linedancer.api"
local bytes = require "linedancer.bytes"
local channel = require "linedancer.channel"
local connect = require "linedancer.connect"
local counters = require "linedancer.counter"
local formats = require "linedancer.format"
local mailbox = require "linedancer.mailbox"
local message = require "linedancer.message"
local names = require "linedancer.names"
local tasks = require "linedancer.task"
local topic = require "linedancer.topic"
require "linedancer.machine"

local M = {
  version = api.core.version, counter = counters.get, log = require "linedancer.log",
  crypto = require "linedancer.crypto",
  spawn = tasks.spawn, permanent = tasks.permanent, every = tasks.every, sleep = tasks.sleep,
  receive = mailbox.receive, postpone = mailbox.postpone, wait = require "linedancer.wait",
  self = message.self, send = message.send, call = message.call, reply = message.reply,
  watch = message.watch, unwatch = message.unwatch,
  register = names.register, unregister = names.unregister, whereis = names.whereis,
  keep = require("linedancer.keep").of, publish = topic.publish, channel = channel.get, connect = connect.connect,
}

local now, W = api.struct.now, api.vm

--- A compiled format, to pass wherever a format's text is taken, with :unpack(text, pos) and :pack(...). Raises a
-- message with the column of a syntax error.
function M.format(source)
  return formats.of(source)
end

--- An empty buffer of C memory that grows to at most MAX bytes.
function M.buffer(max)
  return bytes.buffer(max)
end

--- A blob, immutable bytes in C memory, with the content of TEXT.
function M.blob(text)
  return bytes.blob(text)
end

--- BYTES (a string, slice, buffer or blob) as a string that is a good key for a table of keys that peers choose; see
-- linedancer.bytes. key:sub(5) is what they were.
function M.key(x)
  return bytes.key(x)
end

--- Serve CONFIG, a table or the name of a file, in a script that plain luajit runs: see linedancer.serve.
function M.serve(config)
  return require "linedancer.serve"(config)
end

--- Seconds on a clock that never goes back.
function M.now()
  return tonumber(now(W))
end

--- Seconds since 1970, the wall clock.
function M.time()
  return os.time()
end

return M

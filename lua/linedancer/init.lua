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

--- What `require "linedancer"` returns.
---@class linedancer
---@field version string of the program, "0.1.0"
---@field log linedancer.log one line per event
---@field crypto linedancer.crypto digests, MACs, random bytes and base64
---@field postpone linedancer.Postpone what on_message returns to have the message again when the state has changed

local now, W = api.struct.now, api.vm

--- A compiled format, to pass wherever a format's text is taken, with :unpack(text, pos) and :pack(...). Raises a
-- message with the column of a syntax error.
---@function ld.format
---@param source string|linedancer.Format its text
---@return linedancer.Format format
function M.format(source)
  return formats.of(source)
end

--- An empty buffer of C memory that grows to at most MAX bytes.
---@function ld.buffer
---@param max? integer bytes (2 GB)
---@return linedancer.Buffer buffer
function M.buffer(max)
  return bytes.buffer(max)
end

--- A blob, immutable bytes in C memory, with the content of TEXT.
---@function ld.blob
---@param text linedancer.Data its content
---@return linedancer.Blob blob
---@raise stale
function M.blob(text)
  return bytes.blob(text)
end

--- X (a string, slice, buffer or blob) as a string that is a good key for a table of keys that peers choose: they
-- cannot make such keys collide. key:sub(5) is what X was.
---@function ld.key
---@param x linedancer.Data what it stands for
---@return string key good for the life of the process
---@raise stale
function M.key(x)
  return bytes.key(x)
end

--- Serve CONFIG, a table or the name of a file, in a script that plain luajit runs, until SIGINT or SIGTERM drains it,
-- a second one at once. Raises an error for a config that is not good, and in a gateway, which serves already.
---@function ld.serve
---@param config linedancer.Config|string what is served
function M.serve(config)
  return require "linedancer.serve"(config)
end

--- Seconds on a clock that never goes back.
---@function ld.now
---@return number seconds
function M.now()
  return tonumber(now(W))
end

--- Seconds since 1970, the wall clock.
---@function ld.time
---@return integer seconds
function M.time()
  return os.time()
end

return M

--- sandbox/library: what `require "linedancer"` gives a sandboxed handler.
local ld = require "linedancer"
local standin = require "linedancer.sandbox.standin"

local M = {}

local AS_THEY_ARE = { "version", "postpone", "sleep", "buffer", "blob", "key", "now", "time" }
local CRYPTO = { "hmac", "digest", "random", "equal", "base64", "unbase64", "hex" }
local RANDOM_MAX = 2 ^ 16 -- bytes

local function crypto()
  local own = {}
  for _, name in ipairs(CRYPTO) do own[name] = ld.crypto[name] end
  function own.random(n)
    if type(n) == "number" and n > RANDOM_MAX then error("random: 65536 bytes at most", 2) end
    return ld.crypto.random(n)
  end
  return own
end

-- ld.wait, with stand-ins as its sources.
local function waiter(stand)
  return function(sources)
    local real, back = {}, {}
    for key, value in next, type(sources) == "table" and sources or error("ld.wait takes a table of sources", 2) do
      local conn = type(key) == "table" and stand:real(key) or nil
      if conn then back[conn] = key end
      real[conn or key] = value
    end
    local function answer(source, ...)
      if source == "message" then
        local from, message, topic = ...
        return source, type(from) == "string" and from or nil, message, stand:topic(topic)
      end
      return back[source] or source, ...
    end
    return answer(ld.wait(real))
  end
end

local function connect(stand)
  return function(address, opts)
    local own = type(opts) == "table" and {} or opts
    for key, value in next, type(opts) == "table" and opts or {} do own[key] = value end
    if type(own) == "table" then
      own.tls = standin.tls(own.tls)
      if type(own.proxy) == "table" then
        own.proxy = { version = rawget(own.proxy, "version"), of = stand:real(rawget(own.proxy, "of")) }
      end
    end
    local conn, err = ld.connect(address, own)
    if not conn then return nil, err end
    return stand:of(conn)
  end
end

local function forbidden() error("this sandbox may not connect: sandbox = { connect = true } of its listener", 2) end

--- For the handler of SPACE, of linedancer.sandbox, which may do what GRANTED says.
function M.new(space, granted)
  local stand, own = space.stand, {}
  for _, name in ipairs(AS_THEY_ARE) do own[name] = ld[name] end
  own.crypto, own.log, own.wait, own.format = crypto(), space.log, waiter(stand), standin.format
  own.connect = granted.connect and connect(stand) or forbidden
  function own.spawn(fn, ...) return stand:task(ld.spawn(fn, ...)) end
  function own.every(seconds, fn) return stand:task(ld.every(seconds, fn)) end
  function own.receive(timeout)
    local from, message, topic = ld.receive(timeout)
    return type(from) == "string" and from or nil, message, stand:topic(topic)
  end
  function own.publish(topic, message) return ld.publish(stand:full(topic), message) end
  function own.keep(name) return ld.keep(stand:full(name)) end
  function own.counter(name)
    local counter = ld.counter(stand:full(name))
    return {
      name = name, value = counter.value,
      add = function(self, n)
        self.value = counter:add(n)
        return self.value
      end,
    }
  end
  return own
end

return M

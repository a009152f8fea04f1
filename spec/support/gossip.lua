--- gossip: a handler, as the text of a file, for specs of worlds with several workers. It obeys lines such as
-- "register NAME", "send NAME TEXT" and "call NAME TEXT", and writes what it hears.
return [==[
local ld = require "linedancer"

local obey = {}
local count = 0 -- shared by all connections of a worker, and with no other

function obey.register(conn, name) conn:write(tostring(ld.register(name)), "\n") end

function obey.take(conn, name) conn:write(tostring(select(2, ld.register(name, { take = true }))), "\n") end

function obey.whereis(conn, name) conn:write(tostring(ld.whereis(name)), "\n") end

function obey.send(conn, name, text)
  local ok, why = ld.send(ld.whereis(name), text)
  if not ok then conn:write(why, "\n") end
end

function obey.call(conn, name, text)
  local answer, why = ld.call(ld.whereis(name), text)
  conn:write(tostring(answer), " ", tostring(why), "\n")
end

function obey.watch(_, name) ld.watch(ld.whereis(name)) end

function obey.subscribe(conn, topic) conn:subscribe(topic) end

function obey.publish(_, topic, text) ld.publish(topic, text) end

function obey.connect(conn, address, text)
  local up, err = ld.connect(address, { timeout = 2 })
  if not up then
    conn:write(err.code, "\n")
    return
  end
  up:write(text, "\n")
  conn:write(tostring(up:read_line()), "\n")
end

function obey.count(conn)
  count = count + 1
  local kept = ld.keep "gossip"
  kept.count = (kept.count or 0) + 1
  conn:write(count, " ", kept.count, "\n")
end

function obey.fail() error "as told" end

local states = {}

function states.gossip(conn)
  local line = conn:read_line()
  if not line then return end
  local verb, name, text = line:match "^(%S+) ?(%S*) ?(.*)$"
  obey[verb](conn, name, text)
  return "gossip"
end

return {
  initial = "gossip",
  states = states,
  on_message = function(conn, from, message)
    if type(message) ~= "table" then
      conn:write("heard ", message, "\n")
      if from:find "#" then ld.reply(from, "re " .. message) end
    elseif message.taken then
      conn:close "takeover"
    elseif message.down then
      conn:write("down ", message.reason, "\n")
    end
  end,
}
]==]

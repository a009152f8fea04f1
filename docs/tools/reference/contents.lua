--- reference/contents: the chapters of the reference, and what stands in each, in order.
--
-- A name is that of a function, class or alias; each has one place.
local M = {}

M.HEAD = [[
# The reference of handlers

What a handler may use, and what a config may say. This page and the files in library/, for editors, are made from the
doc comments in lua/linedancer by `./dev reference`; to change something here, change it there. What happens to
connections when the code changes under them is told in [docs/reload.md](docs/reload.md).

Of each function there is what it takes, what it returns, and what it raises beside plain errors for wrong arguments.
`[x]` may be left out. What **may wait** suspends the coroutine that calls it, and others go on. It raises `hook`
where nothing may wait, in a hook; and the `timeout`, `reset` or `closed` of the connection whose coroutine it is, or
that is read. Two coroutines cannot read one connection at a time: the second one gets `busy`.

Seconds may have fractions. Bytes, positions and numbers of things are whole.

For editors with lua-language-server, library/ is installed as share/linedancer/library. A `.luarc.json` beside a
handler names it:

    { "runtime.version": "LuaJIT", "workspace.library": ["/usr/local/share/linedancer/library"] }

and above a state `---@param conn linedancer.Conn` says what its `conn` is. The names of classes here are those of
library/.]]

M.CHAPTERS = {
  { "A handler", [[
What a module returns, as `return { initial = "line", states = states }`. Hooks are called whenever the
coroutine waits, and at every transition; they may write, not wait. An error in a hook ends the connection as
one in a state does.]], [[
    linedancer.Handler linedancer.State linedancer.OnMessage linedancer.Timeout linedancer.HandlerLimits ]] },
  { "A connection", "What `conn` is, the first argument of states and hooks.", [[
    linedancer.Conn linedancer.Tls linedancer.Proxy ]] },
  { "Reading", [[
Between frames, an end of the peer is no error: `unpack`, `peek`, `packet`, `read`, `read_some`, `read_line`,
`read_until` and `lines` return nil. Inside a frame it is: the others raise `truncated`. A read that fails
consumes nothing.]], [[
    conn:unpack conn:expect conn:peek conn:try conn:read conn:read_some conn:read_line conn:read_until conn:lines
    conn:skip conn:skip_until conn:slice conn:body conn:read_into conn:packet linedancer.PacketMode
    linedancer.HttpHead ]] },
  { "Writing", [[
Writes do not wait, and go out whole and in order. A connection with more than `limits.output` queued ends, with
`limit`.]], [[
    conn:write conn:put conn:pack conn:flush conn:notsent_lowat conn:quick_ack ]] },
  { "State, time and the end", "", [[
    conn:timeout conn:timer conn:stale conn:fail conn:close conn:shutdown conn:reset ]] },
  { "From connection to connection", "Bytes that are moved in C, as they come.", [[
    conn:relay conn:pipe ]] },
  { "Outgoing connections, TLS", [[
A connection that a handler makes has the methods of others, and no coroutine of its own: who made it reads it.]], [[
    ld.connect linedancer.ConnectOptions linedancer.TlsOptions conn:release conn:starttls
    linedancer.StarttlsOptions ]] },
  { "The module", [[`local ld = require "linedancer"`]], [[
    linedancer ld.now ld.time ld.keep ld.counter linedancer.Counter counter:add ld.serve ]] },
  { "Formats", "", [[
    ld.format linedancer.Format linedancer.FormatLike format:unpack format:pack ]] },
  { "Bytes: slices, buffers, blobs", [[
Bytes that are not Lua strings. Positions count from 1, and negative ones from the end, as in `string.sub`.]], [[
    linedancer.Bytes bytes:byte bytes:u32be bytes:sub bytes:eq bytes:unpack linedancer.Slice slice:keep
    linedancer.Buffer ld.buffer buffer:put buffer:pack buffer:keep buffer:clear linedancer.Blob ld.blob linedancer.Data
    ld.key ]] },
  { "Tasks", [[
Coroutines besides those of connections. One that fails is logged, and counted as `task_errors`.]], [[
    linedancer.Task conn:spawn conn:join ld.spawn ld.permanent ld.every ld.sleep ld.wait task:cancel task:join ]] },
  { "Messages", [[
A message is a plain Lua value: nil, a boolean, number, string, 64-bit integer, bytes, or a table of these. One
that is none raises an error. It goes to who waits for it by `ld.receive` or `ld.wait`, else to `on_message`,
else it stays.]], [[
    ld.self ld.send linedancer.Receiver ld.receive ld.call ld.reply ld.watch ld.unwatch ld.register ld.unregister
    ld.whereis linedancer.Postpone ]] },
  { "Topics", "Messages for whoever is interested.", [[
    conn:subscribe conn:unsubscribe task:subscribe task:unsubscribe ld.publish ]] },
  { "Channels", "Bytes that are encoded once and sent to thousands.", [[
    ld.channel linedancer.ChannelOptions linedancer.Channel channel:publish channel:preamble channel:close
    channel:recent channel:stats linedancer.ChannelStats conn:follow linedancer.FollowOptions conn:unfollow
    conn:following linedancer.Place ]] },
  { "The log", "", "linedancer.log ld.log.debug ld.log.info ld.log.warn ld.log.error" },
  { "Cryptography", "", [[
    linedancer.crypto ld.crypto.digest ld.crypto.hmac linedancer.Algorithm ld.crypto.random ld.crypto.secret
    ld.crypto.equal ld.crypto.base64 ld.crypto.unbase64 ld.crypto.hex ]] },
  { "Errors", "", "linedancer.Error linedancer.ErrorCode" },
  { "Testing", [[`local t = require "linedancer.testing"`: handlers without sockets.]], [[
    linedancer.testing t.play t.every_split t.every_truncation linedancer.testing.Options linedancer.testing.Run
    linedancer.testing.Expected linedancer.testing.Step t.advance t.message t.drain t.begin t.perform t.result
    linedancer.testing.Play ]] },
  { "Testing many connections", [[
Worker 1 is the test's own; handlers of others are loaded from their files. There is one world at a time.]], [[
    t.world linedancer.testing.WorldOptions t.every_order linedancer.testing.OrderOptions linedancer.testing.World
    world:connect linedancer.testing.ConnectOptions world:run world:advance world:now world:listen world:accept
    world:fault linedancer.testing.Faults world:heal world:kill world:open_count world:close linedancer.testing.Peer
    peer:send peer:finish peer:reset peer:stall peer:resume peer:sent peer:message peer:drain ]] },
  { "A config", "A Lua file that returns a table, in brief. Relative paths are below its directory.", [[
    linedancer.Config linedancer.Listener linedancer.ListenerTls linedancer.ListenerProxy linedancer.Limits
    linedancer.PerSource ]] },
}

--- What is FOUND, of extract.read(), in the order of CHAPTERS: an array of { title =, text =, items = array }. Raises a
-- message for a name that has no place, or that is nothing.
function M.sort(found)
  local placed, chapters = {}, {}
  for i, chapter in ipairs(M.CHAPTERS) do
    local items = {}
    for name in chapter[3]:gmatch "%S+" do
      local item = found.functions[name] or found.classes[name] or found.aliases[name]
      if not item then error("docs/tools/reference/contents.lua: nothing is called " .. name, 0) end
      placed[name] = true
      items[#items + 1] = item
    end
    chapters[i] = { title = chapter[1], text = chapter[2], items = items }
  end
  for _, kind in ipairs { "functions", "classes", "aliases" } do
    for name in pairs(found[kind]) do
      if not placed[name] then error("docs/tools/reference/contents.lua: give a place to " .. name, 0) end
    end
  end
  return chapters
end

return M

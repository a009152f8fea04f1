--- resp/server: commands about the connection and the server itself.
local ld = require "linedancer"
local commands = require "handlers.resp.commands"
local glob = require "handlers.resp.glob"
local integer = require("handlers.resp.number").integer
local reply = require "handlers.resp.reply"
local store = require "handlers.resp.store"

local add, family = commands.add_plain, commands.family
local kept = store.kept

local M = {}

kept.started = kept.started or ld.now()
kept.clients = kept.clients or {}
kept.last_client = kept.last_client or 0

local function reset(conn)
  conn.protocol, conn.db_index, conn.db, conn.name = 2, 0, store.database(0), ""
end

--- Prepare a new connection.
function M.open(conn)
  kept.last_client = kept.last_client + 1
  conn.number, conn.since = kept.last_client, ld.now()
  kept.clients[conn.number] = conn
  reset(conn)
end

--- conn has ended.
function M.close(conn)
  if conn.number then kept.clients[conn.number] = nil end
end

add("PING", 1, function(conn) conn:write "+PONG\r\n" end)
add("PING", 2, reply.bulk)
add("ECHO", 2, reply.bulk)

local function quit(conn)
  reply.ok(conn)
  conn:close "quit"
end

add("QUIT", -1, quit)

add("RESET", 1, function(conn)
  reset(conn)
  conn:write "+RESET\r\n"
end)

local function valid_name(conn, name)
  if not name:find "[^!-~]" then return true end
  reply.error(conn, "ERR Client names cannot contain spaces, newlines or special characters.")
end

local function pairs_of(conn, items)
  reply.map(conn, #items / 2)
  for i = 1, #items, 2 do
    reply.bulk(conn, items[i])
    local value = items[i + 1]
    if type(value) == "number" then reply.integer(conn, value)
    elseif type(value) == "table" then reply.list(conn, value, #value)
    else reply.bulk(conn, value) end
  end
end

-- HELLO's options from word 3 on. Anyone may do anything here, so AUTH cannot succeed.
local function hello_name(conn, words, n)
  local name = conn.name
  local i = 3
  while i <= n do
    local word = words[i]:upper()
    if word == "SETNAME" and words[i + 1] then
      name = words[i + 1]
      if not valid_name(conn, name) then return nil end
      i = i + 2
    elseif word == "AUTH" and words[i + 2] then
      reply.error(conn, "WRONGPASS invalid username-password pair or user is disabled.")
      return nil
    else
      reply.error(conn, ("ERR Syntax error in HELLO option '%s'"):format(words[i]))
      return nil
    end
  end
  return name
end

add("HELLO", -1, function(conn, words, n)
  local protocol = conn.protocol
  if n > 1 then
    protocol = integer(words[2])
    if not protocol then
      return reply.error(conn, "ERR Protocol version is not an integer or out of range")
    end
    if protocol ~= 2 and protocol ~= 3 then return reply.error(conn, "NOPROTO unsupported protocol version") end
  end
  local name = hello_name(conn, words, n)
  if not name then return end
  conn.protocol, conn.name = protocol, name
  pairs_of(conn, {
    "server", "linedancer", "version", ld.version, "proto", protocol, "id", conn.number, "mode", "standalone",
    "role", "master", "modules", {},
  })
end)

add("AUTH", -2, function(conn)
  reply.error(conn, "ERR AUTH <password> called without any password configured for the default user. "
    .. "Are you sure your configuration is correct?")
end)

local function describe(conn)
  return ("id=%d addr=%s laddr=%s name=%s age=%d db=%d resp=%d"):format(conn.number, conn.peer or "",
    conn.local_address or "", conn.name, ld.now() - conn.since, conn.db_index, conn.protocol)
end

local MANY = 2^20

add("CLIENT", -2, family("CLIENT", {
  ID = { 2, 2, function(conn) reply.integer(conn, conn.number) end },
  INFO = { 2, 2, function(conn) reply.bulk(conn, describe(conn) .. "\n") end },
  GETNAME = { 2, 2, function(conn)
    if conn.name == "" then reply.null(conn) else reply.bulk(conn, conn.name) end
  end },
  SETNAME = { 3, 3, function(conn, words)
    if not valid_name(conn, words[3]) then return end
    conn.name = words[3]
    reply.ok(conn)
  end },
  SETINFO = { 4, 4, function(conn, words)
    local attribute = words[3]:upper()
    if attribute ~= "LIB-NAME" and attribute ~= "LIB-VER" then
      return reply.error(conn, ("ERR Unrecognized option '%s'"):format(words[3]))
    end
    reply.ok(conn)
  end },
  LIST = { 2, 2, function(conn)
    local numbers = {}
    for number in pairs(kept.clients) do numbers[#numbers + 1] = number end
    table.sort(numbers)
    for i, number in ipairs(numbers) do numbers[i] = describe(kept.clients[number]) .. "\n" end
    reply.bulk(conn, table.concat(numbers))
  end },
}))

local PARAMETERS = { "appendonly", "databases", "maxmemory", "maxmemory-policy", "proto-max-bulk-len", "save" }

-- Their values, as Redis would have them here. None can be changed.
local function parameters(conn)
  return {
    appendonly = "no", databases = tostring(store.COUNT), maxmemory = "0", ["maxmemory-policy"] = "noeviction",
    ["proto-max-bulk-len"] = tostring(conn.options.max_bulk), save = "",
  }
end

local function matches_any(name, words, n)
  for i = 3, n do
    if glob.match(words[i]:lower(), name) then return true end
  end
  return false
end

local function config_get(conn, words, n)
  local known, found = parameters(conn), {}
  for _, name in ipairs(PARAMETERS) do
    if matches_any(name, words, n) then
      found[#found + 1], found[#found + 2] = name, known[name]
    end
  end
  pairs_of(conn, found)
end

local function config_set(conn, words, n)
  if n % 2 == 1 then return commands.wrong_arity(conn, "config|set") end
  local known = parameters(conn)
  for i = 3, n, 2 do
    local value = known[words[i]:lower()]
    if not value then
      return reply.error(conn, ("ERR Unknown option or number of arguments for CONFIG SET - '%s'"):format(words[i]))
    end
    if value ~= words[i + 1] then
      return reply.error(conn, ("ERR CONFIG SET failed (possibly related to argument '%s') - "
        .. "can't set immutable config"):format(words[i]))
    end
  end
  reply.ok(conn)
end

add("CONFIG", -2, family("CONFIG", {
  GET = { 3, MANY, config_get },
  SET = { 4, MANY, config_set },
  RESETSTAT = { 2, 2, reply.ok },
}))

local function command_names()
  local names = {}
  for name in pairs(commands.arity) do names[#names + 1] = name:lower() end
  table.sort(names)
  return names
end

-- One entry of COMMAND: name, arity, flags, and which words are keys, of which nothing is said.
local function command_entry(conn, name)
  local arity = commands.arity[name:upper()]
  if not arity then return reply.null_array(conn) end
  reply.array(conn, 6)
  reply.bulk(conn, name:lower())
  reply.integer(conn, arity)
  reply.set(conn, 0)
  for _ = 1, 3 do reply.integer(conn, 0) end
end

local function command_entries(conn, names, first)
  reply.array(conn, #names - first + 1)
  for i = first, #names do command_entry(conn, names[i]) end
end

local function command_docs(conn, words, n)
  local known = {}
  for i = 3, n do
    if commands.arity[words[i]:upper()] then known[#known + 1] = words[i]:lower() end
  end
  if n == 2 then known = command_names() end
  reply.map(conn, #known)
  for _, name in ipairs(known) do
    reply.bulk(conn, name)
    pairs_of(conn, { "group", "generic" })
  end
end

local command_family = family("COMMAND", {
  COUNT = { 2, 2, function(conn) reply.integer(conn, #command_names()) end },
  DOCS = { 2, MANY, command_docs },
  INFO = { 2, MANY, function(conn, words, n)
    if n == 2 then return command_entries(conn, command_names(), 1) end
    command_entries(conn, words, 3)
  end },
  LIST = { 2, 2, function(conn)
    local names = command_names()
    reply.list(conn, names, #names)
  end },
})

add("COMMAND", -1, function(conn, words, n)
  if n == 1 then return command_entries(conn, command_names(), 1) end
  command_family(conn, words, n)
end)

local SECTIONS = { "server", "clients", "memory", "keyspace" }
local sections = {}

function sections.server(add_line)
  add_line("redis_mode", "standalone")
  add_line("linedancer_version", ld.version)
  add_line("uptime_in_seconds", ("%d"):format(ld.now() - kept.started))
end

function sections.clients(add_line)
  local count = 0
  for _ in pairs(kept.clients) do count = count + 1 end
  add_line("connected_clients", count)
end

function sections.memory(add_line)
  add_line("used_memory_lua", ("%d"):format(collectgarbage "count" * 1024))
end

function sections.keyspace(add_line)
  for index = 0, store.COUNT - 1 do
    local db = store.database(index)
    if db.count > 0 then add_line("db" .. index, ("keys=%d,expires=%d"):format(db.count, db.expiring)) end
  end
end

local function info(conn, words, n)
  local lines, wanted = {}, {}
  for i = 2, n or 1 do wanted[words[i]:lower()] = true end
  local all = n == 1 or wanted.all or wanted.default or wanted.everything
  for _, name in ipairs(SECTIONS) do
    if all or wanted[name] then
      lines[#lines + 1] = (#lines > 0 and "\r\n" or "") .. "# " .. name:sub(1, 1):upper() .. name:sub(2) .. "\r\n"
      sections[name](function(key, value) lines[#lines + 1] = key .. ":" .. value .. "\r\n" end)
    end
  end
  reply.bulk(conn, table.concat(lines))
end

add("INFO", -1, info)

-- A browser that was made to send a request here must not go on to its body.
local function foreign(conn)
  conn:fail "an HTTP request, not a command"
end

add("POST", -1, foreign)
add("HOST:", -1, foreign)

return M

--- cli/remote: the commands that talk to a gateway that runs, by its control socket.
local json = require "linedancer.json"

local M = {}

-- Where control sockets are when nothing is said: of the unit of systemd, and elsewhere.
local PLACES = { "/run/linedancer/control.sock", "/run/linedancer.sock" }
local NOT_THERE = 2 -- ENOENT
local DONE, REFUSED, NONE = 0, 1, 3

--- The first of PATHS (by default, of control sockets) that is there, also if it may not be opened; else the last.
function M.place(paths)
  paths = paths or PLACES
  for _, path in ipairs(paths) do
    local file, _, code = io.open(path)
    if file then file:close() end
    if file or code ~= NOT_THERE then return path end
  end
  return paths[#paths]
end

-- Rows of texts under HEADS, in columns; a column of numbers is aligned to the right.
local function table_of(heads, rows)
  local widths, lines = {}, {}
  for i, head in ipairs(heads) do
    widths[i] = #head
    for _, row in ipairs(rows) do widths[i] = math.max(widths[i], #tostring(row[i])) end
  end
  local function line(row)
    local parts = {}
    for i, width in ipairs(widths) do
      local text = tostring(row[i])
      parts[i] = type(row[i]) == "number" and (" "):rep(width - #text) .. text or text .. (" "):rep(width - #text)
    end
    lines[#lines + 1] = (table.concat(parts, "  "):gsub("%s+$", ""))
  end
  line(heads)
  for _, row in ipairs(rows) do line(row) end
  return table.concat(lines, "\n") .. "\n"
end

local function ago(seconds)
  if seconds < 60 then return ("%.1fs"):format(seconds) end
  if seconds < 3600 then return ("%dm%02ds"):format(seconds / 60, seconds % 60) end
  return ("%dh%02dm"):format(seconds / 3600, seconds / 60 % 60)
end

local show = {}

-- What limits have been met by all workers.
local function met(workers)
  local counts, names = {}, {}
  for _, worker in ipairs(workers) do
    for name, count in pairs(worker.limits_met or {}) do counts[name] = (counts[name] or 0) + count end
  end
  for name, count in pairs(counts) do names[#names + 1] = ("%s %d"):format(name, count) end
  table.sort(names)
  return #names > 0 and "limits met: " .. table.concat(names, ", ") .. "\n" or ""
end

local function megabytes(used) return used and ("%.1f"):format(used.memory / 2 ^ 20) or "-" end

function show.status(result)
  local rows = {}
  for _, worker in ipairs(result.workers) do
    for _, listener in ipairs(worker.listeners) do
      rows[#rows + 1] = {
        worker.worker, worker.pid or "-", worker.version, megabytes(worker.used), listener.name, listener.handler,
        listener.connections, listener.full and "full" or "",
      }
    end
  end
  return ("linedancer %s, up %s, version %d, %d connections\n"):format(result.program, ago(result.uptime),
    result.version, result.connections)
    .. table_of({ "WORKER", "PID", "VERSION", "MB", "LISTENER", "HANDLER", "CONNECTIONS", "" }, rows)
    .. met(result.workers)
end

function show.conns(result)
  local rows = {}
  for i, conn in ipairs(result.conns) do
    rows[i] = {
      conn.id, conn.peer or "-", conn.handler, conn.state or "-", conn.version, ago(conn.age), ago(conn.in_state),
      ago(conn.silent), conn.unread, conn.unsent,
    }
  end
  return table_of({
    "ID", "PEER", "HANDLER", "STATE", "VERSION", "AGE", "IN STATE", "SILENT", "UNREAD", "UNSENT",
  }, rows)
end

function show.versions(result)
  local rows = {}
  for i, one in ipairs(result.versions) do
    rows[i] = {
      one.listener, one.handler, one.version, one.connections, one.failures,
      one.current and "current" or one.trial and "trial" or "",
    }
  end
  return table_of({ "LISTENER", "HANDLER", "VERSION", "CONNECTIONS", "FAILED UPGRADES", "" }, rows)
end

function show.reload(result)
  local lines = {}
  for i, change in ipairs(result.changes) do lines[i] = change .. "\n" end
  if #lines == 0 and not result.judged then lines[1] = "nothing has changed\n" end
  if result.trial then
    lines[#lines + 1] = ("version %d is on trial; see the log for what comes of it\n"):format(result.version)
  elseif result.unconfirmed then
    lines[#lines + 1] = ("version %d serves; unless it is confirmed within %d seconds, what was before comes back:\n"
      .. "confirm it by `linedancer reload --promote`\n"):format(result.version, result.unconfirmed)
  elseif result.version then
    lines[#lines + 1] = ("version %d serves\n"):format(result.version)
  end
  if result.problem then lines[#lines + 1] = ("but: %s\n"):format(result.problem) end
  return table.concat(lines)
end

function show.drain(result)
  if result.worker then return ("worker %d drains, and another takes its place\n"):format(result.worker) end
  if result.draining then return "the gateway drains, and stops\n" end
  if result.cancelled then return "it accepts again\n" end
  local rows = {}
  for state, count in pairs(result.cut) do
    if type(state) == "string" then rows[#rows + 1] = { state, count } end
  end
  if #rows == 0 then return "all have finished\n" end
  return "these were cut:\n" .. table_of({ "STATE", "CONNECTIONS" }, rows)
end

function show.eval(result)
  local lines = {}
  for _, one in ipairs(result) do
    local text = table.concat(one.result or {}, "\t")
    lines[#lines + 1] = #result > 1 and ("%d: %s\n"):format(one.slot, text) or text .. "\n"
  end
  return table.concat(lines)
end

function show.trace(count) return ("%d events\n"):format(count) end

-- An event of a trace: when, what, and with what values.
local function event_of(event)
  local parts = {}
  for i, value in ipairs(event.values) do parts[i] = tostring(value) end
  return ("%10.3f  %-10s %s\n"):format(event.at, event.what, table.concat(parts, " "))
end

local function text_of(command, result)
  if show[command] then return show[command](result) end
  if type(result) == "table" then return json.encode(result) .. "\n" end
  return result == true and "" or tostring(result) .. "\n"
end

local function problems_of(result)
  return type(result) == "table" and type(result.problems) == "table" and result.problems or {}
end

--- Ask the gateway at PATH for REQUEST, and show what it answers, AS_JSON or for people. HOST as in linedancer.cli.
-- Does not return: the program ends with 0, 1 when it was refused, or 3 when there is no gateway.
function M.ask(path, request, as_json, host)
  local function say(message) host.err(("linedancer: %s\n"):format(message)) end
  return host.remote(path, NONE, say, function(ask)
    local result, problem = ask(request, function(event)
      host.out(as_json and json.encode(event) .. "\n" or event_of(event))
      host.flush()
    end)
    if result == nil then
      say(problem)
      return REFUSED
    end
    for _, text in ipairs(problems_of(result)) do say(text) end
    host.out(as_json and json.encode(result) .. "\n" or text_of(request.command, result))
    return DONE
  end)
end

-- Pieces of Lua from LINES, an iterator: one that is not complete goes on in the next line.
local function pieces(lines)
  return function()
    local piece
    for line in lines do
      piece = piece and piece .. "\n" .. line or line
      if loadstring("return " .. piece) then return piece end
      local _, message = loadstring(piece)
      if not (message and message:find "near '<eof>'$") then return piece end
    end
    return piece
  end
end

--- Read Lua from LINES, an iterator, and show what it returns, in each worker, or in WORKER (nil: all).
function M.console(path, worker, lines, host)
  local function say(message) host.err(("linedancer: %s\n"):format(message)) end
  return host.remote(path, NONE, say, function(ask)
    local code = DONE
    for piece in pieces(lines) do
      if piece:find "%S" then
        local result, problem = ask { command = "eval", code = piece, worker = worker }
        if result == nil then code = REFUSED end
        if result == nil then say(problem) else host.out(show.eval(result)) end
        host.flush()
      end
    end
    return code
  end)
end

return M

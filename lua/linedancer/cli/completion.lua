--- cli/completion: what a shell may offer while somebody types a command line.
--
-- The shells call `linedancer completion words`, which knows the commands and their options, and asks the gateway that
-- runs for its connections, listeners and handlers.
local arguments = require "linedancer.cli.arguments"
local config = require "linedancer.config"
local help = require "linedancer.cli.help"
local limits = require "linedancer.gateway.limits"

local M = {}

M.scripts = {}

-- Bash breaks words at colons, too: what is before the last one is not its to replace.
M.scripts.bash = [=[
_linedancer() {
    local words=() word before
    read -ra words <<< "${COMP_LINE:0:COMP_POINT}"
    case ${COMP_LINE:0:COMP_POINT} in *[[:space:]]) words+=("") ;; esac
    word=${words[${#words[@]} - 1]}
    before=${word%"${word##*:}"}
    COMPREPLY=()
    while read -r word; do
        COMPREPLY+=("${word#"$before"}")
    done < <("$1" completion words -- "${words[@]:1}" 2>/dev/null)
}
complete -o default -F _linedancer linedancer
]=]

M.scripts.zsh = [=[
#compdef linedancer
_linedancer() {
    local -a found
    found=(${(f)"$($words[1] completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    if (( $#found )); then compadd -- $found; else _files; fi
}
if [ "$funcstack[1]" = _linedancer ]; then _linedancer "$@"; else compdef _linedancer linedancer; fi
]=]

local LEVELS, SHELLS = config.LEVELS, { "bash", "zsh" }
local FIXED = {
  ["run --log-level"] = LEVELS, ["loglevel level"] = LEVELS,
  ["set name"] = limits.names(),
  ["completion"] = SHELLS, ["new"] = { "handler" },
}

local IDS = 1000

-- Arrays of what ASK(request) tells, by what is wanted.
local known = {}

local function of_listeners(ask, key)
  local found, seen = {}, {}
  local status = ask { command = "status" }
  for _, worker in ipairs(status and status.workers or {}) do
    for _, listener in ipairs(worker.listeners) do
      local text = listener[key]
      if not seen[text] and listener.name ~= "control" then found[#found + 1] = text end
      seen[text] = true
    end
  end
  return found
end

function known.listener(ask) return of_listeners(ask, "name") end
function known.handler(ask) return of_listeners(ask, "handler") end

function known.target(ask)
  local found = known.listener(ask)
  for _, name in ipairs(known.handler(ask)) do found[#found + 1] = name end
  return found
end

local function of_conns(ask, key)
  local found, seen = {}, {}
  local answer = ask { command = "conns", limit = IDS }
  for _, conn in ipairs(answer and answer.conns or {}) do
    local text = conn[key]
    if text and not seen[text] then found[#found + 1] = text end
    seen[text or ""] = true
  end
  return found
end

function known.conn(ask) return of_conns(ask, "id") end
function known.state(ask) return of_conns(ask, "state") end

-- Which word of COMMAND the one after WORDS is, or the option that it is the value of; nil: nothing that is known.
local function place_of(command, words)
  local last = words[#words]
  if last and arguments.takes_value(command, last) then return last end
  local spec, count = arguments.REMOTE[command], 0
  for i, word in ipairs(words) do
    local is_value = arguments.takes_value(command, words[i - 1] or "")
    if word:sub(1, 1) ~= "-" and not is_value then count = count + 1 end
  end
  local name = spec and spec.words[count + 1]
  return name and name:gsub("%?$", ""), not spec and count == 0
end

-- What may stand after WORDS: an array, or a function(ask) that finds it.
local function candidates(words, word)
  local command = words[1]
  if not command or command == "help" and #words == 1 then return help.commands() end
  local rest = { unpack(words, 2) }
  local place, is_first = place_of(command, rest)
  if place and place:sub(1, 1) == "-" then
    return FIXED[command .. " " .. place] or command ~= "run" and known[place:sub(3)] or {}
  end
  if word:sub(1, 1) == "-" then return arguments.options(command) end
  if is_first then return FIXED[command] or {} end
  return place and (FIXED[command .. " " .. place] or known[place]) or {}
end

--- WORDS are those of a command line after the program, the last of which is being typed. Returns an array of what it
-- may be, or a function(ask), ask as in linedancer.control.client, that returns it.
function M.find(words)
  local word = words[#words] or ""
  local function fitting(found)
    local list = {}
    for _, text in ipairs(found) do
      if text:sub(1, #word) == word then list[#list + 1] = text end
    end
    table.sort(list)
    return list
  end
  local found = candidates({ unpack(words, 1, #words - 1) }, word)
  if type(found) == "table" then return fitting(found) end
  return function(ask) return fitting(found(ask)) end
end

return M

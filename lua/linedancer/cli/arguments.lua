--- cli/arguments: reads the arguments of commands into tables. Opens no file and prints nothing.
local config = require "linedancer.config"
local shape = require "linedancer.shape"
local suggest = require "linedancer.suggest"

local RUN = { "--handler", "--help", "--listen", "--log-level", "--option", "--workers" }

local NEW = { "--binary", "--directory", "--help", "--line", "--proxy" }
local KINDS = { ["--binary"] = "binary", ["--line"] = "line", ["--proxy"] = "proxy" }

local M = {}

local refuse = shape.refuse

-- Call FN(option, value) for each "--option VALUE" or "--option=VALUE" and FN(nil, argument) for the rest. All OPTIONS
-- take a value, but for those in the set BARE; what follows "--" is no option.
local function each(argv, options, fn, bare)
  local known, i, literal = {}, 1, false
  for _, name in ipairs(options) do known[name] = true end
  while i <= #argv do
    local argument = argv[i]
    if argument == "--" and not literal then
      literal = true
    elseif literal or argument:sub(1, 1) ~= "-" or argument == "-" then
      fn(nil, argument)
    else
      local name, value = argument:match("^(%-%-[^=]+)=(.*)$")
      name = name or argument
      if not known[name] then refuse("%s", suggest.unknown("option", name, options)) end
      if bare and bare[name] then
        if value then refuse("%s takes no value", name) end
        value = true
      elseif not value then
        i = i + 1
        value = argv[i]
      end
      if not value then refuse("%s needs a value", name) end
      fn(name, value)
    end
    i = i + 1
  end
end

local function complete(pair)
  if not pair.listen then refuse("--handler %s lacks its --listen ADDRESS", pair.handler) end
  if not pair.handler then refuse("--listen %s lacks its --handler FILE", pair.listen) end
end

-- --listen and --handler come in pairs, either first; a repeated one opens the next pair.
local function part(pairs_read, key, value)
  local pair = pairs_read[#pairs_read]
  if not pair or pair[key] then
    if pair then complete(pair) end
    pair = { options = {} }
    pairs_read[#pairs_read + 1] = pair
  end
  pair[key] = value
end

local function option(pairs_read, text)
  local name, value = text:match("^([^=]+)=(.*)$")
  if not name then refuse("--option takes NAME=VALUE, not '%s'", text) end
  local pair = pairs_read[#pairs_read]
  if not pair then refuse("--option %s must follow the --listen and --handler that it belongs to", name) end
  table.insert(pair.options, { name, value })
end

local function level(text)
  for _, known in ipairs(config.LEVELS) do
    if text == known then return text end
  end
  refuse("%s", suggest.unknown("log level", text, config.LEVELS))
end

local function workers(text)
  local count = tonumber(text)
  if not count or count < 0 or count % 1 ~= 0 then
    refuse("--workers takes a whole number, 0 or more, not '%s'", text)
  end
  return count
end

local function run(argv)
  local parsed = { pairs = {} }
  each(argv, RUN, function(name, value)
    if name == "--listen" then
      part(parsed.pairs, "listen", value)
    elseif name == "--handler" then
      part(parsed.pairs, "handler", value)
    elseif name == "--option" then
      option(parsed.pairs, value)
    elseif name == "--log-level" then
      parsed.log_level = level(value)
    elseif name == "--workers" then
      parsed.workers = workers(value)
    elseif parsed.config then
      refuse("run takes one config, but got '%s' and '%s'", parsed.config, value)
    else
      parsed.config = value
    end
  end)
  local last = parsed.pairs[#parsed.pairs]
  if last then complete(last) end
  if last and parsed.config then refuse("give a config or --listen and --handler, not both") end
  if not last and not parsed.config then refuse("run needs a config, or --listen ADDRESS and --handler FILE") end
  return parsed
end

--- { config =, log_level =, workers =, pairs = { { listen =, handler =, options = { { name, text }... } }... } }, or
-- nil and a message.
M.run = shape.guard(run)

-- What each command that asks a gateway takes besides --control, --config and --json: words, of which those with "?"
-- may be absent and the last with "..." stands for all that follow; and options, with how to read them.
local REMOTE = {
  status = { words = {} },
  versions = { words = {} },
  conns = {
    words = {},
    options = {
      handler = "text", listener = "text", state = "text", peer = "text", version = "number", older = "number",
      limit = "number",
    },
  },
  kill = { words = { "conn" } },
  reload = {
    words = {},
    options = {
      dry = "flag", canary = "percent", seconds = "duration", errors = "condition", promote = "flag", revert = "flag",
      confirm = "duration",
    },
  },
  loglevel = { words = { "level" } },
  set = { words = { "name", "value" }, numbers = { value = true } },
  drain = { words = { "target?" }, options = { worker = "number", deadline = "duration", cancel = "flag" } },
  call = { words = { "handler", "name", "args..." } },
  trace = { words = { "conn" }, options = { seconds = "duration", hidden = "flag" } },
  console = { words = {}, options = { worker = "number" } },
}

M.REMOTE = REMOTE

local FLAGS = {
  ["--json"] = true, ["--cancel"] = true, ["--dry-run"] = true, ["--hidden"] = true,
  ["--promote"] = true, ["--revert"] = true,
}
local SPELLED = { dry = "dry-run", seconds = "for", errors = "revert-on" }
local RENAMED = { ["dry-run"] = "dry", ["for"] = "seconds", ["revert-on"] = "errors" }

local UNITS = { [""] = 1, s = 1, m = 60, h = 3600 }

-- How the texts of options are read, by their kind.
local readers = {}

function readers.text(_, text) return text end
function readers.flag() return true end

function readers.number(name, text)
  return tonumber(text) or refuse("%s takes a number, not '%s'", name, text)
end

function readers.percent(name, text)
  return tonumber(text:match "^([%d.]+)%%?$") or refuse("%s takes a share such as 10%%, not '%s'", name, text)
end

function readers.duration(name, text)
  local number, unit = text:match "^([%d.]+)([smh]?)$"
  if not tonumber(number) then refuse("%s takes a time such as 90s or 10m, not '%s'", name, text) end
  return tonumber(number) * UNITS[unit]
end

function readers.condition(name, text)
  return tonumber(text:match "^errors%s*>%s*([%d.]+)%%$")
    or refuse("%s takes 'errors > 1%%', with any number, not '%s'", name, text)
end

local function take_word(request, spec, words, word)
  local name = spec.words[#words + 1] or spec.words[#spec.words]
  if not name or not spec.words[#words + 1] and not name:find "%.%.%.$" then
    refuse("'%s' is one argument too many", word)
  end
  words[#words + 1] = word
  if name:find "%.%.%.$" then
    name = name:sub(1, -4)
    request[name] = request[name] or {}
    table.insert(request[name], word)
  else
    name = name:gsub("%?$", "")
    request[name] = spec.numbers and spec.numbers[name] and readers.number(name, word) or word
  end
end

local function options_of(spec)
  local names = { "--config", "--control", "--help", "--json" }
  for name in pairs(spec.options or {}) do names[#names + 1] = "--" .. (SPELLED[name] or name) end
  table.sort(names)
  return names
end

--- The options of COMMAND, an array.
function M.options(command)
  if command == "run" then return RUN end
  if command == "new" then return NEW end
  return REMOTE[command] and options_of(REMOTE[command]) or { "--help" }
end

--- Does COMMAND have an option called NAME that takes a value?
function M.takes_value(command, name)
  if FLAGS[name] or KINDS[name] or name == "--help" then return false end
  for _, known in ipairs(M.options(command)) do
    if known == name then return true end
  end
  return false
end

local function remote(command, argv)
  local spec, words = REMOTE[command], {}
  local request, how, given = { command = command }, {}, {}
  for i, argument in ipairs(argv) do given[i] = FLAGS[argument] and argument .. "=true" or argument end
  each(given, options_of(spec), function(name, value)
    if not name then return take_word(request, spec, words, value) end
    local key = name:sub(3)
    key = RENAMED[key] or key
    if key == "control" or key == "config" or key == "json" then
      how[key] = value
    else
      request[key] = readers[spec.options[key]](name, value)
    end
  end)
  for i = #words + 1, #spec.words do
    local name = spec.words[i]
    if not name:find "[?.]$" then refuse("%s needs its %s", command, name:upper()) end
  end
  return request, how
end

--- What COMMAND, one of REMOTE, asks, a table, and { control =, config =, json = }; or nil and a message.
function M.remote(command, argv)
  local how
  local request, message = shape.guard(function()
    local asked
    asked, how = remote(command, argv)
    return asked
  end)()
  if not request then return nil, message end
  return request, how
end

-- It becomes the name of a Lua module.
local function handler_name(text)
  if not text:find "^%a[%w_-]*$" then
    refuse("'%s' is no name of a handler: a letter, then letters, digits, _ and -", text)
  end
  if text == "init" then refuse "a handler cannot be called 'init': that is the file of a directory's module" end
  return text
end

local function new(argv)
  local asked, words = {}, {}
  each(argv, NEW, function(name, value)
    if not name then
      words[#words + 1] = value
    elseif name == "--directory" then
      if value == "" then refuse "--directory needs a value" end
      asked.directory = value
    else
      local kind = KINDS[name]
      if asked.kind and asked.kind ~= kind then refuse("--%s and %s: a handler is of one kind", asked.kind, name) end
      asked.kind = kind
    end
  end, KINDS)
  if words[1] ~= "handler" then
    refuse("new makes a handler, as in 'new handler NAME'%s", words[1] and (", not '%s'"):format(words[1]) or "")
  end
  if not words[2] then refuse "new handler needs its NAME" end
  if words[3] then refuse("'%s' is one argument too many", words[3]) end
  asked.name, asked.kind = handler_name(words[2]), asked.kind or "binary"
  return asked
end

--- What linedancer.scaffold is to make: { name =, kind =, directory = (or nil) }, or nil and a message.
M.new = shape.guard(new)

local function plain(argv)
  local list = {}
  each(argv, { "--help" }, function(_, argument) list[#list + 1] = argument end)
  return list
end

--- The arguments of a command without options, or nil and a message.
M.plain = shape.guard(plain)

return M

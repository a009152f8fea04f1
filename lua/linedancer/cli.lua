--- cli: the command line of the `linedancer` program.
--
-- Reads arguments and words messages; what it cannot do itself it asks of HOST, a table of
--
--   version, handlers_path (the bundled handlers), out(text), flush(), err(text)
--   space() -> where a version of the code lives (see linedancer.handler.space)
--   run(config, space, read) -> exit code; read(space) reads the config again
--   remote(path, none, say, fn) -> exit code: see linedancer.control.client
--   lines(prompt) -> an iterator over lines of standard input
--   test(argv) -> exit code
--   library: the directory of the annotations for editors
--
-- Exit codes: 0 done, 1 refused, 2 usage, 3 no gateway.
local arguments = require "linedancer.cli.arguments"
local config = require "linedancer.config"
local handler = require "linedancer.handler"
local help = require "linedancer.cli.help"
local remote = require "linedancer.cli.remote"
local shape = require "linedancer.shape"
local suggest = require "linedancer.suggest"

local DONE, REFUSED, USAGE = 0, 1, 2

local M = {}

local commands = {}

local function usage(host, command, message)
  host.err(("linedancer: %s\nTry 'linedancer help%s'.\n"):format(message, command and " " .. command or ""))
  return USAGE
end

local function refused(host, message)
  host.err(("linedancer: %s\n"):format(message))
  return REFUSED
end

-- TEXT, given as option NAME, as it may be shown.
local function shown(text, name) return shape.is_secret(name) and "what was given" or ("'%s'"):format(text) end

-- The text of a --option as the type of the handler's default; or nil and a message.
local function typed(text, default, name)
  if type(default) == "string" then return text end
  if type(default) == "number" then
    local number = tonumber(text)
    if number then return number end
    return nil, ("option '%s' must be a number, not %s"):format(name, shown(text, name))
  end
  if type(default) == "boolean" then
    if text == "true" then return true elseif text == "false" then return false end
    return nil, ("option '%s' must be true or false, not %s"):format(name, shown(text, name))
  end
  return nil, ("option '%s' is a %s, which only a config file can give"):format(name, type(default))
end

-- Give LISTENER the options from --option arguments, an array of { name, text }.
local function set_options(listener, given)
  local definition, message = handler.load(listener.file, listener.module)
  if not definition then return nil, message end
  for _, pair in ipairs(given) do
    local name, text = pair[1], pair[2]
    local value = text
    if definition.options[name] ~= nil then
      value, message = typed(text, definition.options[name], name)
      if value == nil then return nil, message end
    end
    listener.options[name] = value
  end
  local merged
  merged, message = handler.options(definition, listener.options)
  return merged, message
end

local function config_of_pairs(parsed, host)
  local given = { listen = {}, log = { level = parsed.log_level }, workers = parsed.workers or 0 }
  for i, pair in ipairs(parsed.pairs) do given.listen[i] = { pair.listen, handler = pair.handler } end
  local loaded, message = config.validate(given, ".", host.handlers_path)
  if not loaded then return nil, message end
  for i, pair in ipairs(parsed.pairs) do
    if #pair.options > 0 then
      local merged
      merged, message = set_options(loaded.listen[i], pair.options)
      if not merged then return nil, message end
    end
  end
  return loaded
end

-- The config that PARSED arguments of `run` stand for, in SPACE; or nil and a message.
local function config_of(parsed, host, space)
  local loaded, message
  if parsed.config then
    loaded, message = config.load(parsed.config, host.handlers_path, space)
    if loaded and parsed.log_level then loaded.log.level = parsed.log_level end
    if loaded and parsed.workers then loaded.workers = parsed.workers end
  else
    loaded, message = config_of_pairs(parsed, host)
  end
  if not loaded then return nil, message end
  space:search(loaded.path)
  return loaded
end

function commands.run(argv, host)
  local parsed, message = arguments.run(argv)
  if not parsed then return usage(host, "run", message) end
  local function read(space) return config_of(parsed, host, space) end
  local space = host.space()
  local loaded
  loaded, message = read(space)
  if not loaded then return refused(host, message) end
  return host.run(loaded, space, read)
end

-- A file, a directory with an init.lua, or else the name of a module.
local function find(name, host)
  if name:find("/", 1, true) then return handler.resolve(name, ".") end
  local here = handler.resolve("./" .. name, ".")
  if here then return (here:gsub("^%./", "")) end
  return handler.resolve(name, ".", {}, host.handlers_path)
end

local function report_on(name, host)
  local filename, message = find(name, host)
  if not filename then return refused(host, (message:gsub("^handler ", ""))) end
  local check = require "linedancer.check" -- here alone: a gateway that runs should not hold it
  local report = check.file(filename, host.handlers_path)
  for _, found in ipairs(report.errors) do host.err(check.format(found, "error") .. "\n") end
  for _, found in ipairs(report.warnings) do host.err(check.format(found, "warning") .. "\n") end
  if #report.errors > 0 then return REFUSED end
  local count = #report.warnings
  local tail = count > 0 and (", with %d warning%s"):format(count, count > 1 and "s" or "") or ""
  host.out(("%s: good%s\n"):format(filename, tail))
  return DONE
end

function commands.check(argv, host)
  local files, message = arguments.plain(argv)
  if not files then return usage(host, "check", message) end
  if #files == 0 then return usage(host, "check", "check needs a config or a handler to look at") end
  local code = DONE
  for _, filename in ipairs(files) do code = math.max(code, report_on(filename, host)) end
  return code
end

-- The path of the control socket that HOW says; or nil and a message.
local function control_of(how, host)
  if how.control then return how.control end
  if not how.config then return os.getenv "LINEDANCER_CONTROL" or remote.place() end
  local loaded, message = config.load(how.config, host.handlers_path)
  if not loaded then return nil, message end
  if not loaded.control then return nil, how.config .. " has no control socket" end
  return loaded.control
end

-- What follows OPTION in WORDS, or nil.
local function value_of(option, words)
  for i, word in ipairs(words) do
    if word == option then return words[i + 1] end
  end
end

-- `drain` names a listener or a handler: an address or a name with a colon or slash is a listener's.
local function aim(request)
  local target = request.target
  if not target then return request end
  request.target = nil
  request[target:find "[:/]" and "listener" or "handler"] = target
  return request
end

local function ask_gateway(command, argv, host)
  local request, how = arguments.remote(command, argv)
  if not request then return usage(host, command, how) end
  local path, message = control_of(how, host)
  if not path then return refused(host, message) end
  if command == "console" then return remote.console(path, request.worker, host.lines "linedancer> ", host) end
  return remote.ask(path, aim(request), how.json ~= nil, host)
end

for name in pairs(arguments.REMOTE) do
  commands[name] = function(argv, host) return ask_gateway(name, argv, host) end
end

-- What may be the last of WORDS, one a line. Silent when there is no gateway to ask.
local function complete(words, host)
  local found = require("linedancer.cli.completion").find(words)
  if type(found) == "table" then return host.out(table.concat(found, "\n") .. "\n") end
  local how = { control = value_of("--control", words), config = value_of("--config", words) }
  local path = control_of(how, host)
  if not path then return end
  host.remote(path, DONE, function() end, function(ask)
    host.out(table.concat(found(ask), "\n") .. "\n")
    return DONE
  end)
end

function commands.completion(argv, host)
  if argv[1] == "words" then
    complete({ unpack(argv, argv[2] == "--" and 3 or 2) }, host)
    return DONE
  end
  local script = require("linedancer.cli.completion").scripts[argv[1]]
  if not script or #argv > 1 then return usage(host, "completion", "completion takes bash or zsh") end
  host.out(script)
  return DONE
end

function commands.test(argv, host) return host.test(argv) end

function commands.new(argv, host)
  local asked, message = arguments.new(argv)
  if not asked then return usage(host, "new", message) end
  local scaffold = require "linedancer.scaffold"
  local names
  names, message = scaffold.make(asked, host.library)
  if not names then return refused(host, message) end
  host.out(scaffold.report(asked, names))
  return DONE
end

function commands.version(argv, host)
  if #argv > 0 then return usage(host, "version", ("version takes no argument, but got '%s'"):format(argv[1])) end
  host.out(("linedancer %s\n"):format(host.version))
  return DONE
end

function commands.help(argv, host)
  if #argv > 1 then return usage(host, "help", "help takes one command") end
  local text = help.of(argv[1])
  if not text then
    return usage(host, nil, suggest.unknown("command", argv[1], suggest.keys(commands)))
  end
  host.out(text)
  return DONE
end

local function wants_help(argv)
  for _, argument in ipairs(argv) do
    if argument == "--" then return false end
    if argument == "--help" or argument == "-h" then return true end
  end
  return false
end

local GLOBAL = { ["--version"] = "version", ["--help"] = "help", ["-h"] = "help" }

--- Do what ARGV, the arguments without the program's name, asks for. Returns the exit code.
function M.main(argv, host)
  local name = GLOBAL[argv[1]] or argv[1]
  if not name then
    host.err(help.of())
    return USAGE
  end
  local rest = { unpack(argv, 2) }
  if not commands[name] then
    if name:sub(1, 1) == "-" then
      return usage(host, nil, suggest.unknown("option", name, suggest.keys(GLOBAL)))
    end
    return usage(host, nil, suggest.unknown("command", name, suggest.keys(commands)))
  end
  if wants_help(rest) then
    host.out(help.of(name))
    return DONE
  end
  return commands[name](rest, host)
end

return M

--- cli/help: the help texts. They name every option, and end with an example.

local TEXTS = {}

TEXTS[""] = [[
linedancer -- a TCP gateway whose protocols are Lua state functions

Usage: linedancer COMMAND [ARGUMENTS]

  run       serve the listeners of a config, or of --listen and --handler
  check     find mistakes in configs and handlers without serving
  test      run the specs of handlers with busted
  version   print the version
  help      explain a command

'linedancer help COMMAND' or 'linedancer COMMAND --help' tells more.
Exit codes: 0 done, 1 refused, 2 usage.

Example: linedancer run --listen :7000 --handler echo
]]

TEXTS.run = [[
Usage: linedancer run CONFIG [--workers N] [--log-level LEVEL]
       linedancer run --listen ADDRESS --handler HANDLER [--option NAME=VALUE]... [--workers N] [--log-level LEVEL]

Serve until SIGTERM or SIGINT, which let connections finish; a second one, or SIGQUIT, stops at once.
--listen and --handler may be repeated in pairs; an --option belongs to the pair before it.

  --listen ADDRESS       127.0.0.1:7000, [::1]:7000, :7000 (all interfaces), unix:/run/x.sock; port 0 is any free one
  --handler HANDLER      the path of a Lua file, or a module name such as echo
  --option NAME=VALUE    set an option that the handler declares
  --workers N            worker processes; 0 runs everything in one. A config says it by itself: one per processor
                         unless it has workers. Without a config the default is 0
  --log-level LEVEL      debug, info, warn or error

Example: linedancer run --listen 127.0.0.1:7000 --handler ./tlv.lua --option greeting=HELLO
]]

TEXTS.check = [[
Usage: linedancer check CONFIG|HANDLER...

Check configs with every handler they name, or handlers by themselves: syntax, unknown keys and options, states that
are returned but do not exist, states that cannot be reached, lack a timeout, or loop where a reload cannot move them.
Nothing is served, but the files are run as loading would. Warnings do not change the exit code.

Example: linedancer check gateway.lua handlers/tlv.lua
]]

TEXTS.test = [[
Usage: linedancer test [BUSTED ARGUMENTS]

Run specs with busted, with Linedancer's modules at hand. Without arguments, the specs under spec/.

Example: linedancer test spec/handlers/tlv_spec.lua
]]

TEXTS.version = [[
Usage: linedancer version

Print the version.

Example: linedancer version
]]

TEXTS.help = [[
Usage: linedancer help [COMMAND]

Explain COMMAND, or list the commands.

Example: linedancer help run
]]

local M = {}

--- The help text of COMMAND, or of the program when it is nil; nil when there is no such command.
function M.of(command) return TEXTS[command or ""] end

return M

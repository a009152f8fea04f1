--- cli/help: the help texts. They name every option, and end with an example.

local TEXTS = {}

TEXTS[""] = [[
linedancer -- a TCP gateway whose protocols are Lua state functions

Usage: linedancer COMMAND [ARGUMENTS]

  run       serve the listeners of a config, or of --listen and --handler
  check     find mistakes in configs and handlers without serving
  test      run the specs of handlers with busted
  new       begin a handler, with its spec and a config
  version   print the version
  completion  for bash or zsh
  help      explain a command

Of a gateway that runs, by its control socket:

  status    what it is, and how its workers and listeners are
  conns     its connections
  versions  of its handlers' code, and who is on which
  reload    load the config and the handlers again
  drain     have connections finish
  kill      end a connection
  trace     what a connection does
  call      a handler's own command
  loglevel  log more, or less
  set       a limit
  console   Lua inside its workers

'linedancer help COMMAND' or 'linedancer COMMAND --help' tells more.
Exit codes: 0 done, 1 refused, 2 usage, 3 no gateway.

Example: linedancer run --listen :7000 --handler echo
]]

TEXTS.run = [[
Usage: linedancer run CONFIG [--workers N] [--log-level LEVEL]
       linedancer run --listen ADDRESS --handler HANDLER [--option NAME=VALUE]... [--workers N] [--log-level LEVEL]

Serve until SIGTERM or SIGINT, which let connections finish; a second one, or SIGQUIT, stops at once. SIGHUP loads the
config and the handlers again. SIGUSR2 starts the program anew, which takes over the listening sockets, and then drains.
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

TEXTS.new = [[
Usage: linedancer new handler NAME [--binary | --line | --proxy] [--directory DIR]

Begin a handler: handlers/NAME.lua, its spec spec/NAME_spec.lua, NAME.conf.lua, which serves it at 127.0.0.1:7000, and
.luarc.json for lua-language-server, unless there is one. All of it works as it is, and is there to be changed. When a
file is there already, nothing is made.

  --binary          frames that carry their type and their length (the default)
  --line            commands, one a line
  --proxy           passes connections on to another server
  --directory DIR   where; made if need be. The default is the current directory

Example: linedancer new handler tlv --binary && linedancer test
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

local FINDING = [[

  --control PATH   of its control socket; default $LINEDANCER_CONTROL, else
                   /run/linedancer/control.sock or /run/linedancer.sock
  --config CONFIG  whose `control` says where that is
  --json           print the answer as JSON

]]

TEXTS.status = [[
Usage: linedancer status [--control PATH | --config CONFIG] [--json]

Show the version that serves, and each worker's listeners with their connections.
]] .. FINDING .. [[
Example: linedancer status --config gateway.lua
]]

TEXTS.conns = [[
Usage: linedancer conns [FILTER...] [--control PATH | --config CONFIG] [--json]

List open connections: where from, in which state, of which version, for how long.

  --handler NAME     those of a handler
  --listener NAME    those of a listener
  --state NAME       those in a state
  --peer TEXT        those whose address begins so
  --version N        those on a version of the code
  --older SECONDS    those that are as old at least
  --limit N          at most so many (1000)
]] .. FINDING .. [[
Example: linedancer conns --handler rtmp --older 3600
]]

TEXTS.versions = [[
Usage: linedancer versions [--control PATH | --config CONFIG] [--json]

List the versions of the handlers' code that are in use, with how many connections each has. One that nobody uses any
more is gone.
]] .. FINDING .. [[
Example: linedancer versions
]]

TEXTS.reload = [[
Usage: linedancer reload [--dry-run] [--control PATH | --config CONFIG] [--json]
       linedancer reload --canary SHARE [--for TIME] [--revert-on 'errors > N%'] [--control PATH | --config CONFIG]
       linedancer reload --confirm TIME [--control PATH | --config CONFIG]
       linedancer reload --promote | --revert [--control PATH | --config CONFIG]

Have the gateway load its config and handlers again. All workers switch, or none does and the reason is told.
Connections live on, and move to the new code at their next transition. SIGHUP does the same.

  --dry-run        only say what would change
  --canary SHARE   give the new code to that share of new connections, such as 10%, and to nobody else, for a time; then
                   to all, or, if it fails too many of them, to nobody
  --for TIME       such as 90s or 10m, which is the default
  --revert-on 'errors > N%'
                   what is too many: the default is 1%. What a peer or the network does is no failure
  --confirm TIME   go back to what was before after that time, unless --promote says that it is good
  --promote        end the trial: the new code is for all; or confirm it
  --revert         end the trial: the new code is for nobody; or go back
]] .. FINDING .. [[
Example: linedancer reload --dry-run
]]

TEXTS.drain = [[
Usage: linedancer drain [LISTENER | HANDLER] [--deadline TIME] [--cancel] [--control PATH | --config CONFIG] [--json]
       linedancer drain --worker N [--deadline TIME] [--control PATH | --config CONFIG] [--json]

Have the connections of a listener (an address) or a handler finish; meanwhile and afterwards nothing is accepted there.
Those that wait between frames are ended little by little. Without either, the whole gateway drains and stops.

  --worker N        those of that worker; others take its clients, and a new process its place
  --deadline TIME   such as 90s or 10m, until those that are left are ended, and listed by state (30s; of a worker or
                    the whole gateway: the config's `drain`)
  --cancel          accept again
]] .. FINDING .. [[
Example: linedancer drain 127.0.0.1:7000 --deadline 60s
]]

TEXTS.kill = [[
Usage: linedancer kill CONN [--control PATH | --config CONFIG] [--json]

End the connection with the id CONN, as `conns` lists it.
]] .. FINDING .. [[
Example: linedancer kill 1.1.12.3
]]

TEXTS.trace = [[
Usage: linedancer trace CONN [--for SECONDS] [--hidden] [--control PATH | --config CONFIG] [--json]

Show what the connection with the id CONN does: the states that it enters, what its reads return, and what it writes,
until it ends or moves to newer code. Other connections are not slowed.

  --for SECONDS    at most so long (60)
  --hidden         do not show bytes, only how many they are
]] .. FINDING .. [[
Example: linedancer trace 1.1.12.3 --for 10
]]

TEXTS.call = [[
Usage: linedancer call HANDLER COMMAND [ARGUMENT...] [--control PATH | --config CONFIG] [--json]

Call a command that a handler has of its own.
]] .. FINDING .. [[
Example: linedancer call rtmp kick live/stream
]]

TEXTS.loglevel = [[
Usage: linedancer loglevel LEVEL [--control PATH | --config CONFIG]

Log lines of LEVEL (debug, info, warn or error) and above, until the next reload.
]] .. FINDING .. [[
Example: linedancer loglevel debug
]]

TEXTS.set = [[
Usage: linedancer set NAME VALUE [--control PATH | --config CONFIG]

Set a limit until the next reload: limits.connections, limits.turn (seconds), limits.memory (bytes), limits.frame,
limits.output, limits.mailbox, limits.linger, limits.lifetime, limits.stall; limits.per_source.connections, .rate and
.bytes (a second), 0 for none; max_connections.LISTENER; drain (seconds). `status` says how often each has been met.
]] .. FINDING .. [[
Example: linedancer set limits.connections 20000
]]

TEXTS.console = [[
Usage: linedancer console [--worker N] [--control PATH | --config CONFIG]

Run each line of standard input as Lua in the workers, or in one of them, and print what it returns. What a line only
begins goes on in the next. On a terminal with libedit, lines can be edited, and are kept in $LINEDANCER_HISTORY or
~/.linedancer_history.
]] .. FINDING .. [[
Example: echo 'collectgarbage "count"' | linedancer console
]]

TEXTS.completion = [[
Usage: linedancer completion bash | zsh
       linedancer completion words -- [WORD...]

Print a script by which the shell completes commands, options, and what the gateway that runs has: connections, states,
listeners, handlers. It calls the second form, which prints what may take the place of the last WORD.

Example: source <(linedancer completion bash)
]]

local M = {}

--- The help text of COMMAND, or of the program when it is nil; nil when there is no such command.
function M.of(command) return TEXTS[command or ""] end

--- The names of all commands, an array.
function M.commands()
  local names = {}
  for name in pairs(TEXTS) do
    if name ~= "" then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

return M

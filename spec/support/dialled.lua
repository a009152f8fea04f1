--- spec.support.dialled: an outside world for linedancer.connect: the spec decides what becomes of each dial.
local connect = require "linedancer.connect"
local core = require("linedancer.api").core

local Outside = {}
Outside.__index = Outside

local real = { dial = connect.dial, cancel = connect.cancel }

--- Dial I is answered. Returns the far end of the connection.
function Outside:accept(i)
  local dial = self.dials[i]
  local peer = self.world:open(1, dial.machine, dial.parent)
  dial.done(core.conn_of(peer:handle()))
  core.settle()
  return peer
end

--- Dial I comes to nothing.
function Outside:fail(i, code, message)
  self.dials[i].done(nil, code, message)
  core.settle()
end

function Outside:restore()
  connect.dial, connect.cancel = real.dial, real.cancel
  self.world:close()
end

--- From now on dials come to what is returned: `dials`, in order, each { target, machine, parent, done, cancelled };
-- with `refusal`, a code and a message, none does. End it with restore().
return function()
  local self = setmetatable({ dials = {}, world = core.world(1) }, Outside)
  connect.dial = function(target, machine, parent, done)
    if self.refusal then return nil, unpack(self.refusal) end
    local dial = { target = target, machine = machine, parent = parent, done = done }
    table.insert(self.dials, dial)
    return dial
  end
  connect.cancel = function(dial) dial.cancelled = true end
  return self
end

--- linedancer.testing.network: what ld.connect reaches in a world.
--
-- A connection between two handlers is a pipe: what one end writes is moved to the other, at most WINDOW bytes ahead of
-- its reader, in steps that the world chooses the order of. A dial is answered in a step, too.
local Network = {}
Network.__index = Network

local WINDOW = 65536 -- bytes that lie before a reader, and behind a writer

--- The network of WORLD: nobody listens yet.
local function new(world)
  return setmetatable({ world = world, listeners = {}, dials = {}, pipes = {}, ready = {} }, Network)
end

--- LISTENER answers connects to the address of KEY: { lives(), accept(link, slot of the other end) }.
function Network:listen(key, listener) self.listeners[key] = listener end

--- Worker SLOT dials: TARGET is as linedancer.connect has it.
function Network:dial(slot, number, target)
  local faults = self.world.faults
  local after = faults.timeout[target.key] and target.timeout or faults.delay
  self.dials[#self.dials + 1] = { slot = slot, number = number, target = target, due = self.world:now() + after }
end

--- It is not interested any more.
function Network:cancel(slot, number)
  for i, dial in ipairs(self.dials) do
    if dial.slot == slot and dial.number == number then
      table.remove(self.dials, i)
      return
    end
  end
end

-- Why DIAL fails: a code and a message; or nil.
function Network:refusal(dial)
  local faults, target = self.world.faults, dial.target
  if faults.timeout[target.key] then
    return "timeout", ("no connection to %s within %g s"):format(target.text, target.timeout)
  end
  if faults.refuse[target.key] then return "refused", "refused by a fault of this world" end
  local listener = self.listeners[target.key]
  if listener and listener.lives() then return nil end
  return "refused", ("nobody in this world listens on %s; see world:listen"):format(target.text)
end

local function answer(self, dial)
  self:cancel(dial.slot, dial.number)
  local world = self.world
  local code, message = self:refusal(dial)
  if code then
    world:call(dial.slot, "dialed", dial.number, nil, code, message)
    return
  end
  local machine, parent = world:call(dial.slot, "dialing", dial.number)
  if not machine then return end
  local link = world:open(dial.slot, machine, parent)
  world:call(dial.slot, "dialed", dial.number, link:handle())
  self.listeners[dial.target.key].accept(link, dial.slot)
end

-- One direction of a pipe.
local function direction(from, to)
  from:allow(WINDOW)
  return { from = from, to = to, flight = {}, flying = 0 }
end

--- From now on LINKS, two connections, are ends of one; SLOTS are their workers.
function Network:join(links, slots)
  self.pipes[#self.pipes + 1] = {
    slots = slots, direction(links[1], links[2]), direction(links[2], links[1]),
  }
end

-- The bytes that WAY's writer may have written by now leave it.
local function depart(self, way, most)
  local bytes = way.from:sent(most)
  if bytes == "" then return end
  way.flight[#way.flight + 1] = { bytes = bytes, due = self.world:now() + self.world.faults.delay }
  way.flying = way.flying + #bytes
end

local function arrive(way)
  local packet = table.remove(way.flight, 1)
  way.flying = way.flying - #packet.bytes
  way.to:put(packet.bytes)
end

-- How the writer's side has ended, once everything that it wrote has arrived; nil while it has not.
local function ending(way, unsent, shut, closed)
  if way.ended or #way.flight > 0 or unsent > 0 then return nil end
  if closed then return way.last_word or (way.from:status() == "reset" and "reset" or "eof") end
  return shut and "eof" or nil
end

local function finish(way, how, closed)
  if closed then way.ended = true end
  way.shut = true
  way.to:stop(how)
end

-- The reader has gone: what is written to it is lost, and the writer learns it once it has read what there is.
local function lose_bytes(way)
  way.from:sent()
  way.lost = true
end

local function reset(way)
  way.was_reset = true
  way.from:stop "reset"
end

local function after_reader(way, unsent, unread, closed)
  if unsent > 0 then return lose_bytes, way end
  if way.lost and not way.was_reset and unread == 0 and not closed then return reset, way end
end

-- What can happen on WAY now: a function and its arguments, or nil.
local function next_of(self, way)
  local unsent, unread_back, shut, closed = way.from:flow()
  local _, unread, _, gone = way.to:flow()
  if gone and (unsent > 0 or way.lost) then
    local fn = after_reader(way, unsent, unread_back, closed)
    if fn then return fn, way end
  end
  local free = WINDOW - unread - way.flying
  if unsent > 0 and free > 0 then return depart, self, way, free end
  local packet = way.flight[1]
  if packet and packet.due <= self.world:now() then return arrive, way end
  local how = ending(way, unsent, shut, closed)
  if how and (closed or not way.shut) then return finish, way, how, closed end
end

-- After a step: how much more the writer may write.
local function refill(way)
  local unsent = way.from:flow()
  way.from:allow(math.max(WINDOW - unsent - way.flying, 0))
end

local function add(list, fn, ...)
  if fn then list[#list + 1] = { fn, ... } end
end

--- How many things can happen now.
function Network:choices()
  local ready, now = {}, self.world:now()
  for _, dial in ipairs(self.dials) do
    if dial.due <= now then add(ready, answer, self, dial) end
  end
  for i = #self.pipes, 1, -1 do
    local pipe = self.pipes[i]
    if pipe[1].ended and pipe[2].ended then table.remove(self.pipes, i) end
  end
  for _, pipe in ipairs(self.pipes) do
    for _, way in ipairs(pipe) do
      refill(way)
      add(ready, next_of(self, way))
    end
  end
  self.ready = ready
  return #ready
end

--- Let thing I of these happen.
function Network:perform(i)
  local step = self.ready[i]
  step[1](unpack(step, 2, table.maxn(step)))
end

--- When something is due that is not yet, or infinity.
function Network:next()
  local next_due, now = math.huge, self.world:now()
  local function consider(due)
    if due > now then next_due = math.min(next_due, due) end
  end
  for _, dial in ipairs(self.dials) do consider(dial.due) end
  for _, pipe in ipairs(self.pipes) do
    for _, way in ipairs(pipe) do
      if way.flight[1] then consider(way.flight[1].due) end
    end
  end
  return next_due
end

--- The worker in SLOT is about to die: what it has sent is on its way, and then its kernel says that it is gone.
function Network:lose(slot)
  for i = #self.dials, 1, -1 do
    if self.dials[i].slot == slot then table.remove(self.dials, i) end
  end
  for _, pipe in ipairs(self.pipes) do
    for i, way in ipairs(pipe) do
      if pipe.slots[i] == slot then
        local _, unread = way.from:flow()
        way.last_word = unread > 0 and "reset" or "eof"
        depart(self, way)
      end
    end
  end
end

return { new = new }

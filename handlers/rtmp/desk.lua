--- rtmp/desk: what workers tell each other about streams; one task in each worker.
--
-- Once a second each desk publishes what there is in its worker: publications with their numbers, viewers, and the
-- variants that are wanted. So each worker can say what there is in the gateway, a second late. Where the time of a
-- stream stood when its publisher ended is told at once.
local ld = require "linedancer"
local adobe = require "handlers.rtmp.adobe"

local M = {}

local NEWS = "rtmp/news"
local TICK = 1          -- seconds
local STALE = 5         -- seconds without news after which a worker counts no more
local REMEMBERED = 3600 -- seconds that the time of a stream that ended is known
local POSITIONS_MAX = 10000

-- positions = { [stream] = { time =, at = } }, position_count; wants = { [stream] = { [variant] = channel } };
-- viewers = { [stream] = { [conn] = channel } }; workers = { [desk's id] = { at =, streams =, viewers =, wants = } };
-- task; publications: see rtmp/stream.
local state, publications = ld.keep "rtmp/desk", ld.keep "rtmp/publications"

-- A good part of them at a time, as it looks at all.
local function forget_old_positions()
  local now, most = ld.now(), 0.75 * POSITIONS_MAX
  for name, position in pairs(state.positions) do
    if now - position.at > REMEMBERED or state.position_count > most then
      state.positions[name] = nil
      state.position_count = state.position_count - 1
    end
  end
end

local function remember(name, position)
  if not state.positions[name] then state.position_count = state.position_count + 1 end
  state.positions[name] = position
  if state.position_count > POSITIONS_MAX then forget_old_positions() end
end

local function wanted_here()
  local wants
  for name, variants in pairs(state.wants) do
    local left
    for variant, channel in pairs(variants) do
      if channel:stats().followers == 0 then
        variants[variant] = nil
      else
        left = left or {}
        left[variant] = true
      end
    end
    if left then
      wants = wants or {}
      wants[name] = left
    else
      state.wants[name] = nil
    end
  end
  return wants
end

-- The viewers of each stream here, and what they were sent.
local function audience()
  local result
  for name, conns in pairs(state.viewers) do
    local sum = { viewers = 0, sent = 0, skipped = 0, lost = 0 }
    for conn, channel in pairs(conns) do
      local f = conn:following(channel)
      sum.viewers = sum.viewers + 1
      if f then
        sum.sent, sum.skipped, sum.lost = sum.sent + f.sent, sum.skipped + f.skipped, sum.lost + f.lost
      end
    end
    result = result or {}
    result[name] = sum
  end
  return result
end

local function reports()
  local list
  for name, publication in pairs(publications) do
    list = list or {}
    list[name] = publication.meter:report()
    list[name].time = publication.last
  end
  return list
end

-- Tell the desks of all workers, as this worker's desk.
local function tell(message)
  message.from = state.task.id
  ld.publish(NEWS, message)
end

-- What is told to the others, and kept as the part of this worker.
local function look_around()
  local here = { streams = reports(), viewers = audience(), wants = wanted_here(), at = ld.now() }
  local before = state.workers[state.task.id]
  state.workers[state.task.id] = here
  here.empty = not (here.streams or here.viewers or here.wants)
  if not here.empty or before and not before.empty then tell { news = here } end
end

-- Variants that nobody wants any more cost nothing.
local function drop_unwanted()
  for name, publication in pairs(publications) do
    local wanted
    for variant in pairs(publication.outputs) do
      wanted = wanted or M.wanted(name)
      if variant ~= "" and not wanted[variant] then publication:drop(variant) end
    end
  end
end

-- Where the time of stream NAME stood by the last news of WORKER, or nil.
local function position_by(worker, name)
  local report = worker.streams and worker.streams[name]
  return report and report.time and { time = report.time, at = worker.at }
end

local function forget_stale_workers()
  for id, worker in pairs(state.workers) do
    if ld.now() - worker.at > STALE then
      for name in pairs(worker.streams or {}) do
        local position = M.position(name)
        if position then remember(name, position) end
      end
      state.workers[id] = nil
    end
  end
end

local function tick()
  forget_stale_workers()
  look_around()
  drop_unwanted()
end

local function hear(message)
  local from = message.from
  if from == state.task.id then return end
  if message.ended then
    remember(message.ended, message.position)
  elseif message.news then
    message.news.at = ld.now()
    state.workers[from] = message.news
  elseif message.spent then
    adobe.spend(message.spent)
  elseif message.want then
    local worker = state.workers[from] or { at = ld.now() }
    state.workers[from] = worker
    worker.wants = worker.wants or {}
    worker.wants[message.want] = worker.wants[message.want] or {}
    worker.wants[message.want][message.variant] = true
  end
end

local function run()
  local due = ld.now() + TICK
  while true do
    local from, message = ld.receive(math.max(0, due - ld.now()))
    if from then hear(message) end
    if ld.now() >= due then
      tick()
      due = ld.now() + TICK
    end
  end
end

--- Begin to work, in each worker that has streams to hear of: from its start on, or from the first use of anything
-- here.
function M.open()
  if state.task and state.task.alive then return end
  if not state.task then
    state.positions, state.position_count, state.wants, state.viewers, state.workers = {}, 0, {}, {}, {}
  end
  state.task = ld.permanent(run)
  state.task:subscribe(NEWS)
end

--- The publisher of stream NAME has ended at POSITION { time =, at = } or nil.
function M.ended(name, position)
  M.open()
  if not position then return end
  remember(name, position)
  tell { ended = name, position = position }
end

--- CHALLENGE, of rtmp/adobe, has been answered: it is good for no login in any worker.
function M.spent(challenge)
  M.open()
  tell { spent = challenge }
end

--- Where the time of stream NAME stood when its last publisher ended, or, if its worker died, shortly before: { time =
-- milliseconds, at = ld.now() then }, or nil when that is not known.
function M.position(name)
  M.open()
  local position = state.positions[name]
  for _, worker in pairs(state.workers) do
    local other = position_by(worker, name)
    if other and (not position or other.at > position.at) then position = other end
  end
  return position and ld.now() - position.at <= REMEMBERED and position or nil
end

--- Somebody here follows VARIANT of stream NAME, CHANNEL.
function M.want(name, variant, channel)
  M.open()
  state.wants[name] = state.wants[name] or {}
  if state.wants[name][variant] then return end
  state.wants[name][variant] = channel
  tell { want = name, variant = variant }
end

--- The variants of stream NAME that are wanted in any worker, as a set.
function M.wanted(name)
  M.open()
  local set = {}
  for variant in pairs(state.wants[name] or {}) do set[variant] = true end
  for _, worker in pairs(state.workers) do
    for variant in pairs(worker.wants and worker.wants[name] or {}) do set[variant] = true end
  end
  return set
end

--- CONN views stream NAME by following CHANNEL.
function M.view(conn, name, channel)
  M.open()
  state.viewers[name] = state.viewers[name] or {}
  state.viewers[name][conn] = channel
end

--- CONN views stream NAME no more.
function M.leave(conn, name)
  local conns = state.viewers and state.viewers[name]
  if not conns then return end
  conns[conn] = nil
  if next(conns) == nil then state.viewers[name] = nil end
end

--- How many view stream NAME here, and, a second late, elsewhere.
function M.viewers(name)
  M.open()
  local count = 0
  for _ in pairs(state.viewers[name] or {}) do count = count + 1 end
  for id, worker in pairs(state.workers) do
    local there = id ~= state.task.id and worker.viewers and worker.viewers[name]
    if there then count = count + there.viewers end
  end
  return count
end

--- Does stream NAME have audio, and video? Nil while that is not known.
function M.tracks(name)
  if publications[name] then return publications[name].meter:tracks() end
  for _, worker in pairs(state.workers or {}) do
    local report = worker.streams and worker.streams[name]
    if report and report.settled then return report.audio ~= nil, report.video ~= nil end
  end
end

--- The streams of the gateway, by name: an array of what rtmp/meter reports, with viewers, sent (bytes to viewers that
-- are there now), skipped (times that one was too slow), lost (messages that they missed so), waiting = true where
-- there is no publisher. At most a second old.
function M.streams()
  M.open()
  local here = state.workers[state.task.id]
  if not here or ld.now() - here.at > TICK then look_around() end
  local by_name, list = {}, {}
  local function of(name)
    if not by_name[name] then
      by_name[name] = { name = name, viewers = 0, sent = 0, skipped = 0, lost = 0, waiting = true }
      list[#list + 1] = by_name[name]
    end
    return by_name[name]
  end
  for _, worker in pairs(state.workers) do
    for name, report in pairs(worker.streams or {}) do
      local stream = of(name)
      for key, value in pairs(report) do stream[key] = value end
      stream.waiting = nil
    end
    for name, there in pairs(worker.viewers or {}) do
      local stream = of(name)
      for _, key in ipairs { "viewers", "sent", "skipped", "lost" } do stream[key] = stream[key] + there[key] end
    end
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

return M

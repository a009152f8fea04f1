--- control/gather: asks all workers the same, and gathers what they answer.
local answer = require "linedancer.message.answer"
local bus = require "linedancer.bus"
local core = require("linedancer.api").core
local park = require "linedancer.park"

local M = {}

local SECONDS = 2 -- for a worker to answer

local performers = {}
local requests, count = {}, 0 -- by number: { conn =, left = slots that have not answered, results =, done }

--- FN(args) answers what is asked as NAME: with a plain value; or nil and why not. It may not wait.
function M.on(name, fn) performers[name] = fn end

local function perform(name, args)
  local ok, result, problem = xpcall(performers[name], debug.traceback, args)
  if not ok then return nil, result end
  return result, problem
end

bus.on("control.ask", function(slot, number, name, args)
  local result, problem = perform(name, args)
  bus.tell(slot, "control.answer", number, result, problem)
end)

bus.on("control.answer", function(slot, number, result, problem)
  local request = requests[number]
  if not request or not request.left[slot] then return end
  request.left[slot] = nil
  request.results[slot] = { result, problem }
  if not next(request.left) then answer.give(request, request.conn) end
end)

bus.on_worker(function(slot, _, up)
  if up then return end
  for _, request in pairs(requests) do
    if request.left[slot] then
      request.left[slot] = nil
      if not next(request.left) then answer.give(request, request.conn) end
    end
  end
end)

local function results_of(request)
  local list, problems = {}, {}
  for slot, pair in pairs(request.results) do
    if pair[1] ~= nil then list[#list + 1] = { slot = slot, result = pair[1] } end
    problems[#problems + 1] = pair[2]
  end
  for slot in pairs(request.left) do problems[#problems + 1] = ("worker %d does not answer"):format(slot) end
  for slot = 1, request.slots do
    if not request.asked[slot] then problems[#problems + 1] = ("worker %d is not up"):format(slot) end
  end
  table.sort(list, function(a, b) return a.slot < b.slot end)
  return list, problems
end

--- Ask all workers what is called NAME, with ARGS, a table: an array of { slot =, result = }, and one of problems.
-- Waits, two seconds at most.
function M.all(name, args)
  local _, _, slots = core.worker()
  local request = { conn = park.waiting(), left = {}, asked = { [bus.slot] = true }, results = {}, slots = slots }
  for _, slot in ipairs(bus.workers()) do request.left[slot], request.asked[slot] = true, true end
  count = count + 1
  local number = count
  requests[number] = request
  bus.broadcast("control.ask", number, name, args)
  request.results[bus.slot] = { perform(name, args) }
  if next(request.left) then answer.await(request, SECONDS) end
  requests[number] = nil
  return results_of(request)
end

--- The same, for an array: all of theirs one after the other, and the problems.
function M.list(name, args)
  local all = {}
  local results, problems = M.all(name, args)
  for _, one in ipairs(results) do
    for _, item in ipairs(one.result or {}) do all[#all + 1] = item end
  end
  return all, problems
end

return M

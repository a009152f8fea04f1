--- resp/store: the databases, and when their keys expire.
--
-- A database maps a key to a string (as stored() has it), to an integer (what INCR leaves, so that it need not be
-- parsed again) or to a table whose `kind` is list, set, hash, zset or stream. Only keys in `values` have a deadline.
-- An expired key goes when somebody asks for it; besides, each new key has up to SWEEP expired ones removed, those of
-- the heap's top. The heap may hold stale entries, whose deadline is no longer the key's; it is rebuilt when most are.
-- Inside, keys are what ld.key makes of them, so that clients cannot choose keys that collide.
local ld = require "linedancer"
local reply = require "handlers.resp.reply"

local SWEEP = 20

local M = { COUNT = 16 }

local kept = ld.keep "resp"
local now, hashed = ld.now, ld.key

local function empty(db)
  db.values, db.count = {}, 0
  db.deadlines, db.expiring = {}, 0
  db.heap, db.heap_keys, db.heap_size = {}, {}, 0
end

--- Database INDEX, 0 to 15.
function M.database(index)
  kept.databases = kept.databases or {}
  local db = kept.databases[index]
  if not db then
    db = {}
    empty(db)
    kept.databases[index] = db
  end
  return db
end

--- What is kept besides the databases.
M.kept = kept

M.clear = empty

function M.clear_all()
  for _, db in pairs(kept.databases) do empty(db) end
end

local function remove(db, key)
  db.values[key] = nil
  db.count = db.count - 1
  if db.deadlines[key] then
    db.deadlines[key] = nil
    db.expiring = db.expiring - 1
  end
end

-- Put KEY, due AT, where its parent is due no later.
local function push(db, at, key)
  local heap, keys, i = db.heap, db.heap_keys, db.heap_size + 1
  db.heap_size = i
  while i > 1 do
    local parent = (i - i % 2) / 2
    if heap[parent] <= at then break end
    heap[i], keys[i] = heap[parent], keys[parent]
    i = parent
  end
  heap[i], keys[i] = at, key
end

-- Remove the top: the last one sinks from there.
local function pop(db)
  local heap, keys, n = db.heap, db.heap_keys, db.heap_size
  local at, key = heap[n], keys[n]
  heap[n], keys[n] = nil, nil
  n = n - 1
  db.heap_size = n
  if n == 0 then return end
  local i = 1
  while 2 * i <= n do
    local child = 2 * i
    if child < n and heap[child + 1] < heap[child] then child = child + 1 end
    if at <= heap[child] then break end
    heap[i], keys[i] = heap[child], keys[child]
    i = child
  end
  heap[i], keys[i] = at, key
end

local function rebuild(db)
  db.heap, db.heap_keys, db.heap_size = {}, {}, 0
  for key, at in pairs(db.deadlines) do push(db, at, key) end
end

--- Remove a few expired keys, if there are any.
function M.sweep(db)
  if db.heap_size == 0 then return end
  local time = now()
  for _ = 1, SWEEP do
    local at, key = db.heap[1], db.heap_keys[1]
    if not at or at > time then return end
    pop(db)
    if db.deadlines[key] == at then remove(db, key) end
  end
end

local sweep = M.sweep

-- The value of a hashed KEY, or nil.
local function find(db, key)
  local value = db.values[key]
  if value == nil then return nil end
  local at = db.deadlines[key]
  if at and at <= now() then
    remove(db, key)
    return nil
  end
  return value
end

-- What is kept of VALUE: of a string or slice what ld.key makes of it, for the same reason as of keys.
local function stored(value)
  local kind = type(value)
  if kind == "string" or kind == "cdata" then return hashed(value) end
  return value
end

local function plain(value)
  if type(value) == "string" then return value:sub(5) end
  return value
end

--- The value of KEY as it is kept, or nil: a string is behind four more bytes.
function M.kept_value(db, key)
  return find(db, hashed(key))
end

--- The value of KEY, or nil.
function M.get(db, key)
  return plain(find(db, hashed(key)))
end

local get = M.get

local function put(db, key, value)
  local values = db.values
  if values[key] == nil then
    db.count = db.count + 1
    if db.heap_size > 0 then sweep(db) end
  end
  values[key] = stored(value)
end

--- Set KEY to VALUE, and its deadline stays.
function M.put(db, key, value)
  put(db, hashed(key), value)
end

--- Set KEY to change(its value or nil, X), unless that is nil, and its deadline stays. Returns what change() did.
function M.update(db, key, change, x)
  key = hashed(key)
  local value, why = change(plain(find(db, key)), x)
  if value ~= nil then put(db, key, value) end
  return value, why
end

--- Set KEY to VALUE, and it does not expire.
function M.set(db, key, value)
  key = hashed(key)
  local values = db.values
  if values[key] == nil then
    db.count = db.count + 1
    if db.heap_size > 0 then sweep(db) end
  elseif db.deadlines[key] then
    db.deadlines[key] = nil
    db.expiring = db.expiring - 1
  end
  values[key] = stored(value)
end

--- Remove KEY. Was it there?
function M.delete(db, key)
  key = hashed(key)
  if find(db, key) == nil then return false end
  remove(db, key)
  return true
end

--- KEY, which is there, expires in SECONDS; in the past removes it.
function M.expire(db, key, seconds)
  key = hashed(key)
  if seconds <= 0 then return remove(db, key) end
  if not db.deadlines[key] then db.expiring = db.expiring + 1 end
  local at = now() + seconds
  db.deadlines[key] = at
  if db.heap_size > 2 * db.expiring + 64 then rebuild(db) else push(db, at, key) end
  sweep(db)
end

--- KEY does not expire. Did it before?
function M.persist(db, key)
  key = hashed(key)
  if find(db, key) == nil or not db.deadlines[key] then return false end
  db.deadlines[key] = nil
  db.expiring = db.expiring - 1
  return true
end

--- Seconds until KEY expires; nil if never. KEY is there.
function M.left(db, key)
  key = hashed(key)
  local at = db.deadlines[key]
  return at and at - now()
end

--- Keys that have not expired, as an array, and how many.
function M.keys(db)
  local names, n, time = {}, 0, now()
  local deadlines = db.deadlines
  for key in pairs(db.values) do
    if not deadlines[key] or deadlines[key] > time then
      n = n + 1
      names[n] = key:sub(5)
    end
  end
  return names, n
end

--- The table of KIND at KEY of conn's database, or nil. The second result tells that another kind is there, for
-- which the error has been written.
function M.table(conn, key, kind)
  local value = get(conn.db, key)
  if value == nil then return nil, false end
  if type(value) == "table" and value.kind == kind then return value, false end
  reply.wrong_type(conn)
  return nil, true
end

--- Two functions of (conn, key) for tables of KIND: the first finds one, as M.table does; the second makes it by
-- FRESH() when there is none, and returns nil when the error has been written.
function M.finders(kind, fresh)
  local function find_table(conn, key)
    return M.table(conn, key, kind)
  end
  local function find_or_make(conn, key)
    local value, wrong = find_table(conn, key)
    if value or wrong then return value end
    value = fresh()
    value.kind = kind
    M.put(conn.db, key, value)
    return value
  end
  return find_table, find_or_make
end

return M

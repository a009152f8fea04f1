-- What can be sent, and how it looks when it arrives.
local bytes = require "linedancer.bytes"
local codec = require "linedancer.codec"
local errors = require "linedancer.errors"
local t = require "linedancer.testing"

local function round_trip(...) return codec.decode((assert(codec.encode(...)))) end

local function deep(levels)
  local top = {}
  local t1 = top
  for _ = 2, levels do
    t1.x = {}
    t1 = t1.x
  end
  return top
end

local function cycle()
  local t1 = { a = {} }
  t1.a.b = t1
  return t1
end

-- Run FN(conn, slice) in a connection that has read "body".
local function with_slice(fn)
  local err
  t.play(function(conn)
    local ok
    ok, err = pcall(fn, conn, conn:slice(4))
    if ok then err = nil end
  end, { "body!" })
  if err then error(err, 0) end
end

describe("codec.encode and decode", function()
  it("carry plain values, nils and their number", function()
    assert.same({ n = 6, 1.5, "x\0y", true, nil, { a = { 1, 2, false }, [2.5] = "z" }, nil },
      (function(...) return { n = select("#", ...), ... } end)(
        round_trip(1.5, "x\0y", true, nil, { a = { 1, 2, false }, [2.5] = "z" }, nil)))
    assert.equal(0, select("#", round_trip()))
  end)

  it("carry 64-bit integers", function()
    local value = round_trip { 2LL ^ 62 + 1, 0xffffffffffffffffULL }
    assert.is_true(value[1] == 2LL ^ 62 + 1 and value[2] == 0xffffffffffffffffULL)
  end)

  it("carry slices, buffers and blobs as blobs, wherever they are", function()
    with_slice(function(_, slice)
      local value, more = round_trip({ a = { slice }, b = bytes.blob "blob" }, bytes.buffer():put "buffer")
      assert.equal("body", tostring(value.a[1]))
      assert.equal("blob", tostring(value.b))
      assert.equal("buffer", tostring(more))
      for _, blob in ipairs { value.a[1], value.b, more } do
        assert.is_true(bytes.is_buffer(blob))
        assert.is_false((pcall(blob.put, blob, "x"))) -- sealed
      end
    end)
  end)

  it("leave the value as it was", function()
    with_slice(function(_, slice)
      local value = { slice, { 1 } }
      codec.encode(value)
      assert.equal(slice, value[1])
    end)
  end)

  it("go on after a value that cannot be sent", function()
    assert.is_nil((codec.encode("a", { print })))
    assert.equal("b", round_trip "b")
  end)

  it("refuse more than 16 MB of strings or blobs", function()
    for _, big in ipairs { ("x"):rep(2 ^ 24), bytes.blob(("x"):rep(2 ^ 24 + 1)) } do
      local text, problem = codec.encode(big)
      assert.is_nil(text)
      assert.equal("limit", problem.code)
    end
    assert.equal(2 ^ 23, #round_trip(("x"):rep(2 ^ 23)))
  end)

  it("refuse garbage, and work on", function()
    local good = codec.encode({ 1, 2, 3 }, "x")
    for _, text in ipairs { "", "zzz", good:sub(1, 4), good:sub(2), "\255\255\255" } do
      local ok, value = pcall(codec.decode, text)
      assert.is_true(not ok or type(value) ~= "table")
    end
    assert.same({ 1, 2, 3 }, (codec.decode(good)))
  end)
end)

describe("codec.prepare", function()
  it("passes tables without copying them", function()
    local value = { a = { b = 1 } }
    assert.equal(value, codec.prepare(value))
    assert.is_nil((codec.prepare(nil)))
    assert.is_false((codec.prepare(false)))
  end)

  it("keeps slices, copying no more tables than it must", function()
    with_slice(function(conn, slice)
      local value = { same = { 1 }, changed = { slice } }
      local prepared = codec.prepare(value)
      assert.equal(value.same, prepared.same)
      assert.equal(slice, value.changed[1])
      local alone = codec.prepare(slice)
      conn:read(1)
      assert.equal("body", tostring(prepared.changed[1]))
      assert.equal("body", tostring(alone))
    end)
  end)

  it("seals buffers", function()
    local buffer = bytes.buffer():put "x"
    assert.equal("x", tostring(codec.prepare({ buffer })[1]))
    assert.is_false((pcall(buffer.put, buffer, "y")))
  end)

  it("raises for a stale slice", function()
    local ok, err = pcall(with_slice, function(conn, slice)
      conn:read(1)
      codec.prepare { slice }
    end)
    assert.is_false(ok)
    assert.equal("stale", err.code)
  end)

  it("says where in a message is what cannot be sent", function()
    local conn
    with_slice(function(c) conn = c end)
    for _, case in ipairs {
      { print, "message is a function" },
      { { user = { callback = print } }, "message.user.callback is a function" },
      { { { coroutine.create(print) } }, "message[1][1] is a coroutine" },
      { { ["a b"] = io.stdout }, 'message["a b"] is userdata' },
      { require("ffi").new "int[2]", "message is an FFI object" },
      { { [{}] = 1 }, "message has a table as a key" },
      { { x = setmetatable({}, {}) }, "message.x is a table with a metatable" },
      { { x = setmetatable({}, { __metatable = "no" }) }, "message.x is a table with a metatable" },
      { { conn = conn }, "message.conn is a conn: send its id instead" },
      { errors.new "fail", "message is an error object: send tostring() of it, or its code" },
      { cycle(), "message.a.b is a table that holds it: a cycle" },
      { deep(33), "message" .. (".x"):rep(32) .. " is nested more than 32 tables deep" },
    } do
      local value, problem = codec.prepare(case[1])
      assert.is_nil(value)
      assert.equal(case[2], problem)
      assert.equal(case[2], select(2, codec.encode(case[1])))
    end
    assert.is_table((codec.prepare(deep(32))))
  end)

  it("ends with a table that holds others over and over", function()
    local value = {}
    for _ = 1, 31 do value = { value, value } end
    local _, problem = codec.prepare(value)
    assert.equal("limit", problem.code)
  end)
end)

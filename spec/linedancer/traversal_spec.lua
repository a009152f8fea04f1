-- Loops over tables come to their end, whatever LuaJIT has compiled and given up compiling; see linedancer.traversal.
require "linedancer"

describe("loops over tables", function()
  -- How often a loop over five tables, by ITERATION of "outer" and "inner", has not seen five. LuaJIT compiles the
  -- inner loop first, and then gives up compiling the outer one.
  local function wrong(iteration)
    return assert(loadstring(([[
      local inner = { 1, 2, 3, 4, 5 }
      local outer = { a = inner, b = inner, c = inner, d = inner, e = inner }
      local function between(...) for _ = 1, 100 do end end
      local wrong = 0
      for _ = 1, 100000 do
        between()
        local count = 0
        for _, inner in ITERATION(outer) do
          for _ in ITERATION(inner) do end
          count = count + 1
        end
        if count ~= 5 then wrong = wrong + 1 end
      end
      return wrong]]):gsub("ITERATION%((%w+)%)", iteration)))()
  end

  it("are complete", function()
    assert.equal(0, wrong "pairs(%1)")
    assert.equal(0, wrong "next, %1")
  end)

  it("are never compiled by LuaJIT's own means, which may crash", function()
    assert.is_nil(tostring(next):find "builtin")
    assert.is_nil(tostring((pairs {})):find "builtin")
    local count = 0
    for key, value in pairs { 1, 2, a = 3 } do count = count + (key == "a" and 100 or key) * value end
    assert.equal(305, count)
  end)

  it("are refused where there is no table, as ever", function()
    local ok, err = pcall(function() for _ in pairs(nil) do error "impossible" end end)
    assert.is_false(ok)
    assert.matches("traversal_spec.lua:%d+: bad argument #1 to 'pairs' %(table expected, got nil%)$", err)
    assert.is_nil((next {}))
    assert.same({ "a", 1 }, { next { a = 1 } })
  end)
end)

local skiplist = require "handlers.resp.skiplist"

describe("resp skip list", function()
  local function members(list, level)
    local found, node = {}, list[level]
    while node do
      found[#found + 1] = node.member
      node = node[level]
    end
    return found
  end

  it("keeps its upper levels when members go, so that a search stays short", function()
    local list = skiplist.new()
    for i = 1, 1000 do skiplist.insert(list, i * 7919 % 10007, "m" .. i) end
    local tall = #members(list, 2)
    for i = 1, 1000, 2 do skiplist.remove(list, i * 7919 % 10007, "m" .. i) end
    assert.equal(500, #members(list, 1))
    assert.is_true(tall > 150 and tall < 350)
    assert.is_true(#members(list, 2) > 60 and #members(list, 2) < 200)
  end)

  it("is as new when all are gone", function()
    local list = skiplist.new()
    for i = 1, 100 do skiplist.insert(list, i, "m") end
    for i = 100, 1, -1 do skiplist.remove(list, i, "m") end
    assert.same({ height = 1 }, list)
  end)
end)

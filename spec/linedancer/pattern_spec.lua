-- The patterns of sandboxed scripts: as the library's own, but bounded.
local core = require("linedancer.api").core

local ours = core.patterns
local real = { find = string.find, match = string.match, gmatch = string.gmatch, gsub = string.gsub }

local function outcome(fn, ...)
  local results = { pcall(fn, ...) }
  if not results[1] then return { false } end
  return results
end

local function all(gmatch, text, pattern)
  local found = {}
  for a, b, c in gmatch(text, pattern) do found[#found + 1] = { a, b, c } end
  return found
end

local function same(text, pattern)
  local what = ("%q with %q"):format(text, pattern)
  for _, name in ipairs { "find", "match" } do
    for _, from in ipairs { 1, 2, -2, 100 } do
      assert.same(outcome(real[name], text, pattern, from), outcome(ours[name], text, pattern, from), name .. what)
    end
  end
  assert.same(outcome(real.find, text, pattern, 1, true), outcome(ours.find, text, pattern, 1, true), what)
  assert.same(outcome(all, real.gmatch, text, pattern), outcome(all, ours.gmatch, text, pattern), what)
  for _, by in ipairs { "<%0>", "%1", "%%", function(x) return x and #tostring(x) % 2 == 0 and "." end, { a = "A" } } do
    assert.same(outcome(real.gsub, text, pattern, by), outcome(ours.gsub, text, pattern, by), what)
    assert.same(outcome(real.gsub, text, pattern, by, 1), outcome(ours.gsub, text, pattern, by, 1), what)
  end
end

describe("patterns", function()
  it("find what the library's own do", function()
    local texts = { "", "a", "abc", "aaa bbb", "key = value", "[x](y)", "((a)(b))", "x\0y", "THE (quick) fox", "a.b-c" }
    local patterns = {
      "", "a", ".", "a*", "a+", "a-b", "a?b", "^a", "a$", "^$", "(a)", "()a()", "(%w+)%s*=%s*(%w+)", "%b()",
      "%f[%w]%w+", "[a-c]+", "[^a-c]+", "[]]", "[^]]", "[%]]", "[%w_]*", "(.)%1", "%z", "[%z]", "x%zy", "%.", "%-",
      "[a-]", "[-a]", "(", ")", "%", "[a", "[a%", "%1", "(a", "%b", "%bx", "%f", "(()a)", ".-$", "^.-b", "%S+",
      "%u%l*", "%x%X", "$a", "a$b", "^^a", "(a*(.)%w(%s*))", "%g+", "[%a-z]", "[a-%%]",
    }
    for _, text in ipairs(texts) do
      for _, pattern in ipairs(patterns) do same(text, pattern) end
    end
  end)

  it("find what the library's own do, whatever they are made of", function()
    local pieces = {
      "a", "b", ".", "%w", "[ab]", "*", "+", "-", "?", "(", ")", "^", "$", "%1", "%b()", "%f[a]", "()", "[^a]",
    }
    math.randomseed(5)
    for _ = 1, 3000 do
      local pattern, text = {}, {}
      for i = 1, math.random(6) do pattern[i] = pieces[math.random(#pieces)] end
      for i = 1, math.random(0, 8) do text[i] = ("ab()x"):sub(math.random(5)):sub(1, 1) end
      same(table.concat(text), table.concat(pattern))
    end
  end)

  it("fail where the library's own would not come to an end", function()
    local long = ("a"):rep(100000)
    for _, pattern in ipairs { ".-.-.-.-b", ("a?"):rep(30) .. ("a"):rep(30) .. "b", "(.*)(.*)(.*)x", "%f[b].*.*b" } do
      local ok, message = pcall(ours.find, long, pattern)
      assert.is_true(not ok and message:find "too complex" ~= nil or message == nil)
    end
    local ok, message = pcall(ours.gsub, long, ".-.-b", "")
    assert.is_false(ok)
    assert.matches("too complex", message)
    assert.equal(nil, (ours.find(long:rep(100), ("a"):rep(5000) .. "b", 1, true)))
    assert.equal(100001, (ours.find(long .. "b", "b", 1, false)))
    assert.equal(long, (ours.match(long, "^a*$")))
    assert.equal(100000, select(2, ours.gsub(long, "a", "b")))
  end)
end)

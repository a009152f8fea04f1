local core = require "linedancer.core"
local log = require "linedancer.log"

-- What the core was given to log while FN ran.
local function logged(fn)
  local lines, kept = {}, core.log
  core.log = function(level, text, fields) lines[#lines + 1] = { level, text, fields } end
  local ok, err = pcall(fn)
  core.log = kept
  assert(ok, err)
  return lines
end

describe("log", function()
  it("has four levels", function()
    local lines = logged(function()
      log.debug "a"
      log.info "b"
      log.warn "c"
      log.error(5)
    end)
    assert.same({ { "debug", "a", "" }, { "info", "b", "" }, { "warn", "c", "" }, { "error", "5", "" } }, lines)
  end)

  it("renders fields sorted by name, quoted where they need it", function()
    local lines = logged(function()
      log.warn("slow", {
        seconds = 2.5, conn = "0.1", text = 'say "hi"', empty = "", eq = "a=b", nested = false, [7] = "n",
      })
    end)
    assert.equal([[7=n conn=0.1 empty="" eq="a=b" nested=false seconds=2.5 text="say \"hi\""]], lines[1][3])
  end)

  it("quotes so that a value cannot pass for another field", function()
    local lines = logged(function() log.warn("x", { a = 'b" c="d', e = "back\\slash quote\"" }) end)
    assert.equal([[a="b\" c=\"d" e="back\\slash quote\""]], lines[1][3])
  end)

  it("takes values of any type, also those that cannot be shown", function()
    local broken = setmetatable({}, { __tostring = function() error "no" end })
    local lines = logged(function() log.warn("x", { a = broken, b = {}, c = print }) end)
    assert.equal(1, #lines)
  end)
end)

local appender = require "linedancer.appender"
local ld = require "linedancer"
local scratch = require "spec.support.scratch"

describe("an appender", function()
  local files

  before_each(function() files = scratch.new {} end)
  after_each(function() files.remove() end)

  local function content(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read "*a"
    file:close()
    return text
  end

  it("makes a new file, and appends to it", function()
    local path = files.dir .. "/new"
    local file = assert(appender.create(path))
    assert.is_true(file:append "one ")
    assert.is_true(file:append(ld.buffer():put "two"))
    assert.is_true(file:append "")
    assert.equal(7, file.size)
    file:close()
    file:close()
    assert.equal("one two", content(path))
    assert.same({ nil, "the file is closed" }, { file:append "x" })
  end)

  it("does not touch a file that is there", function()
    local path = files.dir .. "/old"
    assert(appender.create(path)):append "old"
    local file, message, exists = appender.create(path)
    assert.same({ nil, "File exists", true }, { file, message, exists })
    assert.equal("old", content(path))
  end)

  it("goes on behind the last whole piece, wherever that ends", function()
    local path = files.dir .. "/log"
    -- Pieces are lines.
    local function last_line(read, size)
      local text = read(0, size)
      return #(text:match "^.*\n" or ""), text
    end
    local file, text = appender.extend(path, last_line)
    assert.equal("", text)
    file:append "one\n"
    file:append "two\ntorn piece"
    assert.same({ nil, "File is locked", true }, { appender.extend(path, last_line) })
    file:close()
    file, text = appender.extend(path, last_line)
    assert.same({ "one\ntwo\ntorn piece", 8 }, { text, file.size })
    file:append "3\n"
    file:close()
    assert.equal("one\ntwo\n3\n", content(path))
  end)

  it("does not touch a file whose end is not found", function()
    local path = files.dir .. "/other"
    appender.create(path):append "other"
    collectgarbage()
    local function nowhere() return nil, "it is something else" end
    assert.same({ nil, "it is something else", false }, { appender.extend(path, nowhere) })
    assert.equal("other", content(path))
  end)

  it("says why it cannot", function()
    assert.same({ nil, "No such file or directory", false }, { appender.create(files.dir .. "/none/x") })
    assert.has_error(function() appender.create(files.dir .. "/x"):append {} end, "bytes expected, got table")
  end)

  it("keeps nothing of what does not fit", function()
    local file = appender.create(files.dir .. "/full")
    file:append "kept"
    -- A disk that takes half of it.
    local bit = require "bit"
    local ffi = require "ffi"
    ffi.cdef [[
      struct spec_rlimit { unsigned long now, most; };
      int getrlimit(int what, struct spec_rlimit *limit);
      int setrlimit(int what, const struct spec_rlimit *limit);
      void (*signal(int number, void (*handler)(int)))(int);
    ]]
    local limit = ffi.new "struct spec_rlimit"
    ffi.C.getrlimit(1, limit) -- RLIMIT_FSIZE
    local before = limit.now
    local ignored = ffi.cast("void (*)(int)", 1)
    local old = ffi.C.signal(25, ignored) -- SIGXFSZ
    limit.now = bit.tobit(10)
    ffi.C.setrlimit(1, limit)
    local ok, message = file:append(("x"):rep(100))
    limit.now = before
    ffi.C.setrlimit(1, limit)
    ffi.C.signal(25, old)
    assert.same({ nil, "the disk is full" }, { ok, message })
    assert.equal("kept", content(file.path))
  end)
end)

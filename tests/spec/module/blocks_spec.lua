--- Dumps, snapshots and their differences.

local json = require "dkjson"
local scalloc = require "tests.spec.module.on_scalloc"
local fresh = require "tests.spec.module.fresh"

describe("heapdump", function()
  it("writes a line of JSON for each block", function()
    local path, live = os.tmpname(), scalloc.stats().blocks
    local blocks = assert(scalloc.heapdump(path))
    local lines, last = 0, ""
    for line in io.lines(path) do
      local block = assert(json.decode(line))
      assert(block.size > 0 and block.room >= block.size and type(block.tag) == "string")
      assert(#block.address > #last or block.address > last, "in the order of their addresses")
      lines, last = lines + 1, block.address
    end
    os.remove(path)
    assert.equal(blocks, lines)
    assert.near(live, lines, 100)
  end)

  it("calls a function with each line", function()
    local lines = 0
    local blocks = scalloc.heapdump(function(line)
      assert(line:sub(-1) == "\n")
      lines = lines + 1
    end)
    assert.equal(blocks, lines)
  end)

  it("passes the function's errors on", function()
    local ok, message = pcall(scalloc.heapdump, function() error("enough", 0) end)
    assert.is_false(ok)
    assert.equal("enough", message)
  end)

  it("tells why it cannot write", function()
    local blocks, message = scalloc.heapdump "/nonexistent/dump"
    assert.is_nil(blocks)
    assert.truthy(message:find("/nonexistent/dump", 1, true))
    assert.has_error(function() scalloc.heapdump {} end)
  end)
end)

describe("a snapshot", function()
  it("counts the live blocks by size and tag, most bytes first", function()
    collectgarbage "stop"
    local live, rows = scalloc.stats().blocks, scalloc.snapshot():rows()
    collectgarbage "restart"
    local blocks, last = 0, math.huge
    for _, row in ipairs(rows) do
      assert.equal(row.size * row.blocks, row.bytes)
      assert.is_true(row.bytes <= last)
      blocks, last = blocks + row.blocks, row.bytes
    end
    assert.near(live, blocks, 100)
  end)

  it("counts against a limit, sealed or not", function()
    local output = fresh.run [[
      local scalloc = require "scalloc"
      local sizes, kept, before = {}, {}, nil
      for i = 1, 1000 do sizes[i] = ("x"):rep(40 + i) end
      collectgarbage() collectgarbage()
      before = scalloc.count()
      assert(scalloc.limit(before + 1000000)) scalloc.seal()
      local ok, message
      for i = 1, 1000 do
        ok, message = pcall(scalloc.snapshot)
        if not ok then break end
        kept[i] = message
      end
      print(ok, message, #kept > 0 and #kept < 200, scalloc.count() - before > 900000)]]
    assert.equal("false\tnot enough memory\ttrue\ttrue\n", output)
  end)

  if _VERSION >= "Lua 5.4" then
    it("is closed with its variable, as is a profile", function()
      local output = fresh.run [[
        local scalloc = require "scalloc"
        local snapshot, profile
        do
          local s <close> = scalloc.snapshot()
          local p <close> = assert(scalloc.profile())
          snapshot, profile = s, p
          print(#s:rows() > 0)
        end
        print(#snapshot:rows(), profile:stop())
        print(debug.gethook())]]
      assert.equal("true\n0\tnil\tstopped already\n", (output:gsub("nil\n$", ""):gsub("\n\n$", "\n")))
    end)
  end

  it("differs in nothing from itself", function()
    local snapshot = scalloc.snapshot()
    assert.same({}, snapshot:diff(snapshot))
  end)

  it("shows what came, and the other way round what went", function()
    collectgarbage()
    collectgarbage "stop"
    local other = ("w"):rep(1234567) -- LuaJIT keeps the buffer until the next collection
    local before = scalloc.snapshot()
    local text = ("x"):rep(1234567)
    local after = scalloc.snapshot()
    collectgarbage "restart"
    assert.equal(2 * 1234567, #text + #other)
    local came, went = after:diff(before)[1], before:diff(after)
    went = went[#went]
    assert.equal(1, came.blocks)
    assert.is_true(came.size >= 1234567 and came.size < 1.1 * 1234567)
    assert.same({ came.size, -1, -came.bytes }, { went.size, went.blocks, went.bytes })
  end)

  it("compares with snapshots alone", function()
    local snapshot = scalloc.snapshot()
    assert.has_error(function() snapshot:diff {} end)
    assert.has_error(function() snapshot.diff({}, snapshot) end)
    assert.is_false(getmetatable(snapshot))
  end)
end)

describe("the difference of two snapshots", function()
  --- A server that forgets nothing: each request leaves a session, of a table with 12 fields, and its log line.
  local sessions, log = {}, {}
  local function serve(n)
    local session = { id = n, user = "u", host = "h", a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9 }
    sessions[#sessions + 1] = session
    log[#log + 1] = ("request %06d of a client with a name of its own"):format(n):rep(20)
  end

  it("names the leak", function()
    local requests = 2000
    serve(0)
    collectgarbage()
    collectgarbage()
    local before = scalloc.snapshot()
    for n = 1, requests do serve(n) end
    collectgarbage()
    collectgarbage()
    local rows = scalloc.snapshot():diff(before)
    local leaks = {}
    for _, row in ipairs(rows) do
      if row.blocks >= requests * 0.95 and row.blocks <= requests * 1.05 then leaks[#leaks + 1] = row end
    end
    -- the log line, the hash part of 16 nodes, the table; in this order of bytes
    assert.equal(3, #leaks, "kinds of blocks of which there are as many more as there were requests")
    assert.is_true(leaks[1].size > 900 and leaks[1].size <= 1024, "the log line: " .. leaks[1].size)
    assert.is_true(leaks[2].size >= 16 * 24 and leaks[2].size <= 16 * 40, "the fields: " .. leaks[2].size)
    assert.is_true(leaks[3].size >= 40 and leaks[3].size <= 64, "the table: " .. leaks[3].size)
    assert.equal(rows[1], leaks[1])
  end)
end)

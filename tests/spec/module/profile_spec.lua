--- Allocation by line of source, and types.

local fresh = require "tests.spec.module.fresh"

--- LuaJIT calls no hooks in compiled code.
local nojit = "if jit then jit.off() end "

local leaking = nojit .. [[
local scalloc = require "scalloc"
local profile = assert(scalloc.profile())
local sessions, cache = {}, {}
local function handle(n)
  local request = { n, ("header %d "):format(n):rep(50) } -- garbage
  sessions[n] = { user = n }                                  -- line 6: never removed
  cache[1 + n % 10] = { request[2] .. "!" }                   -- replaced
end
for n = 1, 1000 do handle(n) end
collectgarbage() collectgarbage()
for i, row in ipairs(profile:stop(arg_order)) do
  print(row.source, row.bytes, row.live, row.live_blocks)
end
]]

local function rows_of(output)
  local rows, by_line = {}, {}
  for source, bytes, live, blocks in output:gmatch "([^\n]-:%d+)\t(%d+)\t(%d+)\t(%d+)\n" do
    local row = { line = tonumber(source:match ":(%d+)$"), bytes = tonumber(bytes), live = tonumber(live), blocks = tonumber(blocks) }
    rows[#rows + 1], by_line[row.line] = row, row
  end
  return rows, by_line
end

describe("profile", function()
  it("names the line that leaks", function()
    local output = fresh.run((leaking:gsub("arg_order", '"live"')))
    local rows, by_line = rows_of(output)
    assert.equal(6, rows[1] and rows[1].line, output)
    -- a table and its hash part for each session
    assert.is_true(rows[1].blocks >= 2000 and rows[1].blocks <= 2010, output)
    assert.is_true(by_line[5].bytes > 500000, output)
    assert.is_true(by_line[5].live < 50000, output)
    assert.is_true(by_line[7].blocks <= 40, output)
  end)

  it("puts first who allocates most", function()
    local rows = rows_of(fresh.run((leaking:gsub("arg_order", ""))))
    assert.equal(5, rows[1].line)
    for i = 2, #rows do assert.is_true(rows[i].bytes <= rows[i - 1].bytes) end
  end)

  it("counts what C functions allocate for the line that calls them, in coroutines too", function()
    local _, by_line = rows_of(fresh.run(nojit .. [[
      local profile = require "scalloc".profile()
      coroutine.wrap(function()
        local s = string.rep("x", 1000000)
      end)()
      for _, row in ipairs(profile:stop()) do print(row.source, row.bytes, row.live, row.live_blocks) end]]))
    assert.is_true(by_line[3].bytes >= 1000000)
  end)

  it("may look less often", function()
    local output = fresh.run(nojit .. [[
      local profile = require "scalloc".profile { every = 1000 }
      for i = 1, 1e5 do local t = { i } end
      local sum = 0
      for _, row in ipairs(profile:stop()) do sum = sum + row.bytes end
      print(sum > 1e5 * 56)]])
    assert.equal("true\n", output)
  end)

  it("stops once", function()
    local output = fresh.run(nojit .. [[
      local profile = require "scalloc".profile()
      assert(profile:stop())
      print(profile:stop())
      print(debug.gethook())]])
    assert.truthy(output:match "^nil\tstopped already\n", output)
    assert.is_nil(output:find "function", output)
  end)

  it("may still run when the state is closed", function()
    local output = fresh.run(nojit .. [[
      local scalloc = require "scalloc"
      local function finalize()
        coroutine.wrap(function() local t = {} for i = 1, 100 do t[i] = { i } end end)()
        print "finalized"
      end
      if newproxy then
        LAST = newproxy(true)
        getmetatable(LAST).__gc = finalize
      else
        LAST = setmetatable({}, { __gc = finalize })
      end
      PROFILE = assert(scalloc.profile()) -- goes before LAST]])
    assert.equal("finalized\n", output)
  end)

  it("leaves a hook alone that came after it", function()
    local output = fresh.run(nojit .. [[
      local profile = require "scalloc".profile()
      local function mine() end
      debug.sethook(mine, "", 1000)
      assert(profile:stop())
      print(debug.gethook() == mine)]])
    assert.equal("true\n", output)
  end)

  it("tells why there is none", function()
    assert.truthy(fresh.run("print(require 'scalloc'.profile())", true):match "^nil\tthis heap notes nothing")
    assert.truthy(fresh.run(nojit .. "debug.sethook(print, '', 1000000) print(require 'scalloc'.profile())")
      :match "nil\tthere is a debug hook\n")
    for _, argument in ipairs { "1", "{ every = 0 }", "{ every = 'x' }", "{ other = 1 }" } do
      assert.truthy(fresh.run("print(pcall(require 'scalloc'.profile, " .. argument .. "))"):match "^false\tbad argument")
    end
  end)
end)

describe("types", function()
  it("are told by tags, snapshots and dumps", function()
    local output = fresh.run [[
      local scalloc = require "scalloc"
      collectgarbage "stop"
      local other = ("w"):rep(123456) -- LuaJIT keeps the buffer until the next collection
      local old = scalloc.tags()
      local before = scalloc.snapshot()
      local text = ("x"):rep(123456)
      local after = scalloc.snapshot()
      local row = after:diff(before)[1]
      print(row.size >= 123456 and row.size < 123500, row.tag, row.blocks)
      print((scalloc.tags().string or 0) - (old.string or 0) >= 123456)
      local found
      scalloc.heapdump(function(line) found = found or line:match '"size":(1234..),"room":%d+,"tag":"(%a+)"' end)
      print(found and "dumped")]]
    local tagged = "true\tstring\t1\ntrue\ndumped\n"
    local untagged = "true\tother\t1\nfalse\ndumped\n" -- Lua 5.1 does not tell types
    assert.equal(_VERSION == "Lua 5.1" and untagged or tagged, output)
  end)
end)

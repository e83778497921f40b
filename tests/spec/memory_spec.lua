--- Lua programs on scalloc: the same results as on libc's allocator, and a clean end of every memory.
--
-- The programs run in the interpreter under test; scalloc_check, the walker, looks at the heap when it ends (lua-host --check).

local helper = require "tests.spec.helper"
local json = require "dkjson"
local lfs = require "lfs"

local root = lfs.currentdir()
local host = helper.interpreter:gsub("[^/]+$", "lua-host")

--- Runs a program text in the interpreter under test with a limit on committed memory.
local function run_limited(text, bytes)
  local folder = helper.new_folder { ["program.lua"] = text }
  local result = helper.run(folder, helper.quote(helper.interpreter) .. " --mem-stats=json program.lua", {
    environment = { SCALLOC_LIMIT_BYTES = bytes and tostring(bytes) or false },
  })
  helper.remove_folder(folder)
  return result
end

local function stats_of(result) return assert(json.decode(result.stderr:match "(%b{})%s*$")) end

describe("a script under a limit", function()
  it("is told 'not enough memory' and goes on", function()
    local result = run_limited([[
      local ok, message = pcall(function()
        local t = {}
        for i = 1, math.huge do t[i] = ("x"):rep(1000) .. i end
      end)
      collectgarbage()
      print(ok, message)
      local t = {}
      for i = 1, 1000 do t[i] = { i } end
      print(#t)
    ]], 64 << 20)
    assert.equal("false\tnot enough memory\n1000\n", result.stdout)
    assert.equal(0, result.code)
  end)

  it("can be refused a hundred times in a row", function()
    local result = run_limited([[
      local refused = 0
      for i = 1, 50 do
        if not pcall(string.rep, "x", 100 << 20) then refused = refused + 1 end
        if not pcall(function() return ("y"):rep(10 << 20) .. ("z"):rep(20 << 20) end) then refused = refused + 1 end
      end
      print(refused)
    ]], 48 << 20)
    assert.equal("100\n", result.stdout)
  end)

  it("keeps what it has when a table cannot grow", function()
    local result = run_limited([[
      local t, n = {}, 0
      pcall(function() while true do n = n + 1 t[n] = n end end)
      local sum = 0
      for i = 1, n - 1 do sum = sum + t[i] end
      print(sum == n * (n - 1) // 2, n > 100000)
    ]], 32 << 20)
    assert.equal("true\ttrue\n", result.stdout)
  end)

  it("can make coroutines until there is no memory, and again", function()
    local result = run_limited([[
      for round = 1, 3 do
        local threads = {}
        local ok = pcall(function()
          while true do
            local thread = coroutine.create(function(x) coroutine.yield(x) end)
            coroutine.resume(thread, 1)
            threads[#threads + 1] = thread
          end
        end)
        print(ok, #threads > 10000)
        threads = nil
        collectgarbage()
      end
    ]], 48 << 20)
    assert.equal(("false\ttrue\n"):rep(3), result.stdout)
  end)
end)

describe("the accounts", function()
  it("agree with collectgarbage('count')", function()
    local result = run_limited [[
      local t = {}
      for i = 1, 1e5 do t[i] = { i } end
      collectgarbage "stop"
      KEEP = t
      print(collectgarbage "count" * 1024)
    ]]
    local used, counted = stats_of(result).lua.bytes.used, tonumber(result.stdout)
    assert.is_true(math.abs(used - counted) < 4096, used .. " used, " .. counted .. " counted")
  end)

  it("know the peak", function()
    local result = run_limited "local s = ('x'):rep(10 << 20) s = nil collectgarbage()"
    local bytes = stats_of(result).lua.bytes
    assert.is_true(bytes.peak > 10 << 20)
    assert.is_true(bytes.used < 1 << 20)
  end)

  it("show every span pooled when the state is closed", function()
    local spans = stats_of(run_limited "local t = {} for i = 1, 1e5 do t[i] = ('%d'):format(i) end").process.spans
    assert.same({ 0, 0, 0, 0 }, { spans.hot, spans.floating, spans.reusable, spans.large })
    assert.is_true(spans.pooled > 0)
  end)
end)

describe("the example program", function()
  for name in lfs.dir "examples/scripts" do
    if name:find "%.lua$" then
      for _, mode in ipairs { "incremental", "generational" } do
        it(("%s gives the same on both allocators, %s"):format(name, mode), function()
          local said = {}
          for _, alloc in ipairs { "libc", "scalloc" } do
            local command = ("%s --alloc=%s --gc=%s --check examples/scripts/%s 5"):format(helper.quote(host), alloc, mode, name)
            local result = helper.run(root, command)
            assert.equal("", result.stderr)
            assert.equal(0, result.code)
            said[alloc] = result.stdout
          end
          assert.equal(said.libc, said.scalloc)
        end)
      end
    end
  end
end)

--- A state of an ordinary interpreter on scalloc, and back; sealed states; interpreters that know nothing of scalloc.
--
-- Each script runs in an interpreter of its own, since it changes what the interpreter stands on.

local interpreter = os.getenv "SCALLOC_LUA" or "build/bin/scalloc-lua"
local is_ours = interpreter:find "scalloc%-lua"
local fresh = require "tests.spec.module.fresh"

--- Runs a script without any preparation; returns output, error output included, and whether it ended with status 0.
local function run(script, before)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(script)
  file:close()
  local pipe = assert(io.popen(("%s '%s' %s 2>&1; echo status $?"):format(before or "", interpreter, name)))
  local output, status = pipe:read("*a"):match "^(.-)status (%d+)\n$"
  pipe:close()
  os.remove(name)
  return output, tonumber(status)
end

local busy = [[
  local function busy(n)
    local kept = {}
    for i = 1, n do
      kept[i % 1000] = { i, tostring(i), function() return i end, coroutine.create(function() coroutine.yield(i) end) }
      coroutine.resume(kept[i % 1000][4])
    end
    return kept
  end
]]

if not is_ours then
  describe("attach", function()
    it("puts a running state on scalloc, which ends as ever", function()
      local output, status = run(busy .. [[
        local scalloc = require "scalloc"
        KEPT = busy(2000) -- on the allocator before
        print(scalloc.active(), scalloc.count())
        print(scalloc.attach())
        print(scalloc.active(), scalloc.count() > 100000)
        MORE = busy(20000)
        KEPT = nil
        collectgarbage() collectgarbage()
        print(scalloc.check())
        print(scalloc.attach())
        if newproxy then
          PROXY = newproxy(true)
          getmetatable(PROXY).__gc = function() io.write "finalized\n" busy(1000) end
        else
          PROXY = setmetatable({}, { __gc = function() io.write "finalized\n" busy(1000) end })
        end]])
      assert.equal("false\tnil\ttrue\ntrue\ntrue\ttrue\ntrue\nnil\tthis state is on scalloc already\nfinalized\n",
        (output:gsub("this state is not on scalloc[^\n]*", "true")))
      assert.equal(0, status)
    end)

    it("counts what Lua counts", function()
      local output = run(busy .. [[
        require "scalloc".attach()
        KEPT = busy(5000)
        collectgarbage() collectgarbage() collectgarbage "stop"
        local counted, count = collectgarbage "count" * 1024, require "scalloc".count()
        print(math.abs(count - counted) < 0.05 * counted + 4096, count, counted)]])
      assert.truthy(output:match "^true", output)
    end)

    it("limits a state that had none", function()
      local output, status = run [[
        local scalloc = require "scalloc"
        scalloc.attach { hard_limit = 2000000, max_block = 1000000 }
        print(scalloc.limit())
        print(pcall(function() local t = {} for i = 1, 1e7 do t[i] = { i } end end))
        collectgarbage()
        print(pcall(function() local t = {} for i = 1, 1000 do t[i] = { i } end return #t end))]]
      assert.truthy(output:match "^2000000\t0\nfalse\tnot enough memory\ntrue\t1000\n$", output)
      assert.equal(0, status)
    end)

    it("wants settings that there are", function()
      for _, settings in ipairs { "1", "{ hard = 1 }", "{ hard_limit = 'much' }", "{ hard_limit = -1 }", "{ hard_limit = 0 / 0 }", "{ [1] = true }" } do
        local output = run("print(pcall(require 'scalloc'.attach, " .. settings .. "))")
        assert.truthy(output:match "^false\tbad argument #1", output)
      end
      assert.truthy(run "print(require 'scalloc'.attach { locked = true })":match "^nil\t")
      assert.equal("true\n", run "print(require 'scalloc'.attach { stats = true, guard = true, zero_on_free = true })")
    end)

    it("keeps its largest block when limits go", function()
      assert.equal("false\tfalse\t100000\t1\n", run [[
        local scalloc = require "scalloc"
        scalloc.attach { max_block = 100000 }
        local before = pcall(string.rep, "x", 1000000)
        scalloc.limit(scalloc.count() + 50000000)
        scalloc.limit(0)
        print(before, pcall(string.rep, "x", 1000000) and true, scalloc.stats().max_block, scalloc.stats().armed)]])
    end)

    it("has room for a block in the smallest piece of memory", function()
      for bytes = 1, 64, 7 do
        assert.equal("true\ttrue\n", run(("local s = require 'scalloc' print(s.attach { prealloc = %d }, s.check())"):format(bytes)))
      end
    end)

    it("works from LUA_INIT", function()
      local output, status = run("print(require 'scalloc'.active())", [[LUA_INIT='require"scalloc".attach{}']])
      assert.equal("true\n", output)
      assert.equal(0, status)
    end)
  end)

  describe("detach", function()
    it("gives the state back when no block of scalloc is left", function()
      local output, status = run(busy .. [[
        if jit then jit.off() end
        local scalloc = require "scalloc"
        print(scalloc.detach())
        scalloc.attach()
        for i = 1, 100 do local _ = { { i } } end -- no more, so that stack and table of strings stay where they are
        local gone = scalloc.detach()
        for i = 1, gone and 0 or 300 do
          for k = 1, 1000 do local _ = k .. " of " .. i end -- the table of strings grows and shrinks: it has gone back then
          collectgarbage() collectgarbage()
          gone = scalloc.detach()
          if gone then break end
        end
        print(gone, scalloc.active())
        busy(2000)
        print(scalloc.check())]])
      assert.truthy(output:match "^nil\tthis state is not on scalloc[^\n]*\ntrue\tfalse\ntrue\n$", output)
      assert.equal(0, status)
    end)

    it("may leave blocks, and the state goes on", function()
      local output, status = run(busy .. [[
        local scalloc = require "scalloc"
        scalloc.attach()
        KEPT = busy(2000)
        print(scalloc.detach())
        busy(20000)
        print(#KEPT > 900, scalloc.active(), scalloc.count() > 0)]])
      assert.equal("false\tblocks are left\ntrue\tfalse\ttrue\n", output)
      assert.equal(0, status)
    end)

    it("that left blocks says so to who wants limits", function()
      assert.equal("ok\n", run(busy .. [[
        local scalloc = require "scalloc"
        scalloc.attach { hard_limit = 100000000 }
        KEPT = busy(2000)
        assert(scalloc.detach() == false)
        for _, call in ipairs {
          { scalloc.limit }, { scalloc.limit, 1e9 }, { scalloc.withlimit, 1e6, print }, { scalloc.failafter, 1, print },
          { scalloc.attach },
        } do
          local result, message = call[1](call[2], call[3])
          assert(result == nil and message:find "^this state is released", message)
        end
        print "ok"]]))
    end)

    it("waits for the end of a call with a limit", function()
      local output, status = run [[
        local scalloc = require "scalloc"
        local attach, detach, withlimit, failafter = scalloc.attach, scalloc.detach, scalloc.withlimit, scalloc.failafter
        local message = "not within withlimit or failafter" -- is there before
        collectgarbage() collectgarbage() collectgarbage "stop"
        attach()
        local a, b, c = withlimit(1000000, detach)
        local d, e, f = withlimit(1e15, failafter, 1e9, detach)
        local g, h, i = failafter(1000000, function() scalloc.failafter() return detach() end)
        print(a, b, c == message, d, e, f == nil, g, h, i == message, scalloc.active())]]
      assert.equal("true\tnil\ttrue\ttrue\ttrue\ttrue\ttrue\tnil\ttrue\ttrue\n", output)
      assert.equal(0, status)
    end)

    it("ends a profile", function()
      local output = run [[
        if jit then jit.off() end
        local scalloc = require "scalloc"
        scalloc.attach { stats = true }
        local profile = assert(scalloc.profile())
        for i = 1, 1000 do
          collectgarbage()
          if scalloc.detach() then break end
        end
        print(scalloc.attach { stats = true }, profile:stop())]]
      assert.truthy(output:match "^true\tnil\tstopped already\n$" or output:match "^nil", output)
    end)
  end)
else
  describe("a state that was made on scalloc", function()
    it("is neither attached nor detached", function()
      assert.equal("nil\tthis state is on scalloc already\n", run "print(require 'scalloc'.attach())")
      assert.equal("nil\tthis state was made on scalloc and stays there\n", run "print(require 'scalloc'.detach())")
    end)
  end)
end

describe("without scalloc", function()
  if is_ours then return end
  it("functions say so", function()
    local output = run [[
      local scalloc = require "scalloc"
      for name, f in pairs(scalloc) do
        if type(f) == "function" and not ("active attach check seal"):find(name, 1, true) then
          local arguments = { heapdump = { "/tmp/none" }, withlimit = { 1, print }, failafter = { 1, print }, limit = { 1 } }
          local ok, result, message = pcall(f, (table.unpack or unpack)(arguments[name] or {}))
          if not (ok and result == nil and message:find "not on scalloc") then print(name, ok, result, message) end
        end
      end]]
    assert.equal("", output)
  end)
end)

describe("a sealed state", function()
  it("keeps its limits, and its memory to itself", function()
    local output = fresh.run [[
      local scalloc = require "scalloc"
      scalloc.limit(scalloc.count() + 1000000)
      assert(scalloc.seal())
      local hard = scalloc.limit()
      for _, forbidden in ipairs {
        { scalloc.limit, 0 }, { scalloc.limit, 1e9 }, { scalloc.failafter, 1 }, { scalloc.heapdump, print },
        { scalloc.profile }, { scalloc.attach }, { scalloc.detach }, { scalloc.check }, { scalloc.peak, true },
      } do
        local result, message = forbidden[1](forbidden[2])
        if result ~= nil or message ~= "sealed" then print(_, result, message) end
      end
      package.loaded.scalloc = nil
      print(require "scalloc".limit(0))
      local ok = pcall(function() local t = {} for i = 1, 1e6 do t[i] = { i } end end)
      collectgarbage()
      print(hard == scalloc.limit(), ok)
      print(scalloc.withlimit(1000, function() local t = {} for i = 1, 1000 do t[i] = { i } end end))
      collectgarbage()
      print(scalloc.count() > 0, scalloc.stats().armed)]]
    assert.equal("nil\tsealed\ntrue\tfalse\nfalse\tnot enough memory\ntrue\t1\n", output)
  end)
end)

describe("trim", function()
  it("gives memory back", function()
    local output = fresh.run [[
      local t = {}
      for i = 1, 200000 do t[i] = { i } end
      t = nil
      collectgarbage() collectgarbage()
      local scalloc = require "scalloc"
      local given = scalloc.trim()
      print(given > 1000000, scalloc.trim() < 100000)
      print(pcall(scalloc.trim, -1))]]
    assert.truthy(output:match "^true\ttrue\nfalse\tbad argument", output)
  end)
end)

--- scalloc-lua ends as lua5.4 does: finalizers, files, exit codes, signals; and counts memory as it does until then.

local helper = require "tests.spec.helper"
local interpreter = require "tests.spec.interpreter"

local alike, run, shell = interpreter.alike, interpreter.run, interpreter.shell

describe("scalloc-lua", function()
  setup(interpreter.setup)
  teardown(interpreter.teardown)

  it("closes with every finalizer, in order, errors and all", function()
    local text = "note = print object = function() end path = './' seed = tonumber(arg[2]) other_state = print\n"
      .. "dofile('cases.lua').cases[arg[1]]()"
    helper.write_file(interpreter.folder .. "/cases.lua", helper.read_file "tests/lua_close/cases.lua")
    helper.write_file(interpreter.folder .. "/case.lua", text)
    for _, name in ipairs { "newest_first", "errors", "deep_errors", "resurrection", "coroutines", "files", "weak" } do
      alike { "case.lua", name, "1" }
    end
    for seed = 1, 5 do alike { "case.lua", "random", tostring(seed) } end
  end)

  describe("at os.exit", function()
    it("gives the code asked for", function()
      local codes = { [""] = 0, ["true"] = 0, ["false"] = 1, ["0"] = 0, ["7"] = 7, ["256 + 3"] = 3, ["-1"] = 255 }
      for argument, code in pairs(codes) do
        assert.equal(code, alike({ "-e", "os.exit(" .. argument .. ")" }).code)
      end
    end)
    it("does not close the state unless told to", function()
      assert.equal("", alike({ "finalizer.lua", "{ 3 }" }).stdout)
      assert.equal("", alike({ "finalizer.lua", "{ 3, false }" }).stdout)
    end)
    it("closes the state when told to", function()
      assert.matches("finalized", alike({ "finalizer.lua", "{ 3, true }" }).stdout)
      assert.equal(1, alike({ "finalizer.lua", "{ false, true }" }).code)
      assert.equal(0, alike({ "finalizer.lua", "{ true, true }" }).code)
    end)
    it("closes the state from inside a coroutine", function()
      assert.equal(3, alike({ "-e", "coroutine.wrap(function() os.exit(3, true) end)()" }).code)
    end)
    it("is left by every way out that a script or a finalizer may take", function()
      helper.write_file(interpreter.folder .. "/cases.lua", helper.read_file "tests/lua_close/cases.lua")
      helper.write_file(interpreter.folder .. "/leave.lua", "note = print dofile('cases.lua').exits[arg[1]]()")
      local ways = 0
      for name in pairs(dofile("tests/lua_close/cases.lua").exits) do
        alike { "leave.lua", name }
        ways = ways + 1
      end
      assert.is_true(ways > 9)
    end)
    it("flushes what was written", function() alike { "-e", "io.write('no newline') os.exit(1)" } end)
  end)

  describe("at the end of a script", function()
    it("closes the state, finalizers in reverse order", function()
      alike { "-e", "for i = 1, 3 do _G[i] = setmetatable({}, { __gc = function() print('finalized', i) end }) end" }
    end)
    it("reports errors of finalizers as warnings only", function()
      alike { "-W", "-e", "x = setmetatable({}, { __gc = function() error('late') end })" }
    end)
    it("closes files", function()
      for _, program in ipairs { "standard", "ours" } do
        os.remove(interpreter.folder .. "/written")
        run(program, { "-e", "f = io.open('written', 'w') f:write('kept')" })
        assert.equal("kept", helper.read_file(interpreter.folder .. "/written"))
      end
    end)
  end)

  describe("at a SIGINT", function()
    -- The file is removed first: what an earlier run wrote would let the signal come before the program is ready for it.
    local interrupt = [[
      rm -f output; lua5.4 %s >output & child=$!
      wait_for() { i=0; until grep -qs "$1" output || [ $i -ge 500 ]; do sleep 0.02; i=$((i + 1)); done; }
      for word in %s; do wait_for $word; kill -INT $child; done
      wait $child; code=$?; cat output; exit $code
    ]]

    local function alike_interrupted(script, words)
      local command = interrupt:format(script, words)
      local found = shell("ours", command)
      assert.same(shell("standard", command), found)
      return found
    end

    it("raises an error in the script", function()
      local result = alike_interrupted("loop.lua", "ready")
      assert.equal(1, result.code)
      assert.matches("interrupted!", result.stderr, 1, true)
    end)
    it("lets the script catch it, and ends at the second", function()
      local result = alike_interrupted("stubborn.lua", "ready again")
      assert.equal(130, result.code)
      assert.matches("false\tinterrupted!", result.stdout)
    end)
  end)

  describe("memory", function()
    it("is collected in generational mode", function()
      assert.equal("generational\n", alike({ "-e", "print(collectgarbage('incremental'))" }).stdout)
    end)
    -- scalloc-lua alone holds its module ready, in two fields that lua5.4 gets here.
    local prepare = "local r = debug.getregistry() r['scalloc.functions'] = r['scalloc.functions'] or io.stdout "
      .. "package.preload.scalloc = package.preload.scalloc or print"
    it("has the same count at the start", function()
      alike { "-e", prepare, "-e", "print(collectgarbage('count'))" }
    end)
    it("has the same count after the same work", function()
      alike { "-e", prepare, "-e", "local t = {} for i = 1, 1e5 do t[i % 1000] = { i, tostring(i) } end print(collectgarbage('count'))" }
    end)
  end)
end)

--- Corners of scalloc-lua: no memory at all, no name, and what a terminal shows. Where lua5.4 has an answer, it is the same.

local helper = require "tests.spec.helper"

describe("scalloc-lua", function()
  local folder

  setup(function()
    folder = helper.new_folder {
      ["module.lua"] = "return 1\n",
      ["two.lua"] = "print('in the script') x = 2\n",
    }
    helper.link_program(assert(helper.find_program "lua5.4"), folder .. "/standard", "lua5.4")
    helper.link_program(helper.interpreter, folder .. "/ours", "lua5.4")
  end)

  teardown(function() helper.remove_folder(folder) end)

  --- Runs a shell command in which "lua5.4" means the program chosen.
  local function shell(program, command, environment)
    local all = { LUA_INIT = false, LUA_INIT_5_4 = false }
    for name, value in pairs(environment or {}) do all[name] = value end
    return helper.run(folder, command, { environment = all, path = folder .. "/" .. program })
  end

  local function alike(command)
    local found = shell("ours", command)
    assert.same(shell("standard", command), found)
    return found
  end

  describe("without memory", function()
    it("says that there is no state", function()
      local result = shell("ours", "lua5.4 -e 'print(1)'", { SCALLOC_LIMIT_BYTES = "1" })
      assert.same({ stdout = "", stderr = "lua5.4: cannot create state: not enough memory\n", how = "exit", code = 1 }, result)
    end)
    it("says so too if the libraries do not fit", function()
      local result = shell("ours", "lua5.4 -e 'print(1)'", { SCALLOC_LIMIT_BYTES = tostring(40 * 1024) })
      assert.same({ "", 1 }, { result.stdout, result.code })
      assert.matches("not enough memory", result.stderr, 1, true)
    end)
    it("ends with an error and without a crash at every limit, with --mem-stats too", function()
      local failed, succeeded = 0, 0
      local function try(limit)
        local result = shell("ours", "lua5.4 --mem-stats -e 'print(1)'", { SCALLOC_LIMIT_BYTES = tostring(limit) })
        assert.equal("exit", result.how)
        if result.code == 0 then
          succeeded = succeeded + 1
          assert.matches("Lua, used at the end", result.stderr, 1, true)
        else
          failed = failed + 1
          assert.equal("", result.stdout)
          assert.matches("not enough memory", result.stderr, 1, true)
        end
      end
      for limit = 0x1000, 0x20000, 0x1000 do try(limit) end -- a young state
      for limit = 0x40000, 0x600000, 0x40000 do try(limit) end -- one with spans from the start: the checked interpreter's
      assert.is_true(failed > 5 and succeeded > 5)
    end)
  end)

  describe("without a name", function()
    it("calls itself by its standard one", function()
      if not helper.find_program "bash" then return pending "needs bash, whose exec sets the name" end
      for _, name in ipairs { "ours", "standard" } do
        local result = shell(name, [[bash -c 'exec -a "" "$(command -v lua5.4)" -e "error(1, 0)" -x']])
        assert.equal(1, result.code)
        assert.matches(name == "ours" and "^scalloc%-lua: unrecognized option '%-x'\n" or "^lua: unrecognized", result.stderr)
      end
    end)
  end)

  describe("with --mem-stats", function()
    it("says when the state was not closed", function()
      local result = shell("ours", "lua5.4 --mem-stats -e 'os.exit(3)'")
      assert.equal(3, result.code)
      assert.matches("\nclose +not closed\n", result.stderr)
    end)
  end)

  describe("with -i", function()
    it("shows an error object without text as lua5.4 does", function()
      local input = "printf '_PROMPT = setmetatable({}, { __tostring = function() error({}) end })\\n1\\n' | lua5.4 -i"
      local ours, standard = shell("ours", input), shell("standard", input)
      assert.same({ standard.stderr, standard.code }, { ours.stderr, ours.code })
      assert.equal(1, ours.code)
    end)
    it("takes a line of any length", function()
      local input = "lua5.4 -e 'io.write([[x = \"]], (\"y\"):rep(100000), [[\" print(#x)\n]])' | lua5.4 -i"
      assert.matches("\n> 100000\n", shell("ours", input).stdout, 1, true)
    end)
    it("takes a line with a zero byte", function()
      assert.matches("> 3\n", shell("ours", [[printf '#"a\0b"\n' | lua5.4 -i]]).stdout, 1, true)
    end)
  end)

  describe("with -l and -e", function()
    it("stops at the first that fails", function()
      local result = alike "lua5.4 -l module -e 'print(module)' -l missing -e 'print(2)'"
      assert.same({ "1\n", 1 }, { result.stdout, result.code })
    end)
  end)

  describe("on a terminal", function()
    --- What is shown, and the result, of a session on a pseudo-terminal. Each step is { what to wait for, what to type }.
    local function session(program, command, steps)
      local script = { [[
        export TERM=dumb
        wait_for() { i=0; until grep -qsF -e "$1" terminal || [ $i -ge 500 ]; do sleep 0.02; i=$((i + 1)); done; }
          rm -f terminal; { :;]] }
      for _, step in ipairs(steps) do
        script[#script + 1] = ("wait_for %s; printf %s;"):format(helper.quote(step[1]), helper.quote(step[2]))
      end
      script[#script + 1] = ("} | script -qefc %s terminal >/dev/null"):format(helper.quote(command))
      local result = shell(program, table.concat(script, " "))
      return helper.read_file(folder .. "/terminal"), result
    end

    local function needs_script() return not helper.find_program "script" end

    local ended, interrupted = "\\004", "\\003"

    it("asks for the rest of a statement", function()
      if needs_script() then return pending "needs the program script" end
      local shown, result = session("ours", "exec lua5.4", {
        { "> ", "for i = 1, 2 do\\n" }, { ">> ", "print(\"n\" .. i)\\n" }, { "print(", "end\\n" }, { "n2", ended },
      })
      assert.equal(0, result.code)
      assert.matches("n1\r\nn2\r\n", shown, 1, true)
    end)
    it("shows what is wrong with a statement that ends with the input, and succeeds", function()
      if needs_script() then return pending "needs the program script" end
      local shown, result = session("ours", "exec lua5.4", { { "> ", "x = (\\n" }, { ">> ", ended } })
      assert.equal(0, result.code)
      assert.matches("stdin:1: unexpected symbol near <eof>", shown, 1, true)
    end)
    it("ends at Ctrl-C while it waits for a line", function()
      if needs_script() then return pending "needs the program script" end
      for _, program in ipairs { "standard", "ours" } do
        local _, result = session(program, "exec lua5.4", { { "> ", "print(\"a\" .. \"b\")\\n" }, { "ab", interrupted } })
        assert.equal(130, result.code)
      end
    end)
    it("goes on after the script with -i", function()
      if needs_script() then return pending "needs the program script" end
      local shown, result = session("ours", "exec lua5.4 -i two.lua", { { "in the script", "x * 21\\n" }, { "42", ended } })
      assert.equal(0, result.code)
      assert.matches("in the script\r\n.*42\r\n", shown)
    end)
    it("only tells its version with -v", function()
      if needs_script() then return pending "needs the program script" end
      local shown, result = session("ours", "exec lua5.4 -v", {})
      assert.equal(0, result.code)
      assert.matches("Lua 5.4", shown, 1, true)
      assert.not_matches("\n> ", shown, 1, true)
    end)
    it("shows the figures of --mem-stats at its end", function()
      if needs_script() then return pending "needs the program script" end
      local shown, result = session("ours", "exec lua5.4 --mem-stats -i", { { "> ", "t = {}\\n" }, { "t = {}", ended } })
      assert.equal(0, result.code)
      assert.matches("Lua, used at the end", shown, 1, true)
    end)
  end)
end)

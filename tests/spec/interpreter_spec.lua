--- scalloc-lua does what lua5.4 does: the same command line gives the same stdout, stderr and exit code.
--
-- Both programs run under the name "lua5.4" in the same folder, so that what they write can be compared as it is. Only two
-- differences are taken away first: the lines of the usage text that describe long options, which lua5.4 does not have, and
-- the echo of the input that lua5.4's readline writes when stdin is no terminal.

local helper = require "tests.spec.helper"
local json = require "dkjson"
local lfs = require "lfs"

local files = {
  ["hello.lua"] = "print('hello', ...)\n",
  ["arguments.lua"] = "for i = -10, 10 do if arg[i] then print(i, arg[i]) end end print('...', ...)\n",
  ["syntax.lua"] = "x = = 1\n",
  ["unfinished.lua"] = "for i = 1, 2 do\n",
  ["failing.lua"] = "local function inner() error('oops') end\nlocal function outer() inner() end\nouter()\n",
  ["shebang.lua"] = "#!/usr/bin/env lua5.4\nprint(debug.getinfo(1, 'l').currentline)\n",
  ["module.lua"] = "print('loading', ...) return { name = 'module' }\n",
  ["broken_module.lua"] = "error('cannot load')\n",
  ["-"] = "print('the file named -')\n",
  ["finalizer.lua"] = "x = setmetatable({}, { __gc = function() print('finalized') end })\n"
    .. "local y <close> = setmetatable({}, { __close = function() print('closed') end })\n"
    .. "os.exit(table.unpack(load('return ' .. arg[1])()))\n",
  ["loop.lua"] = "io.write('ready\\n'):flush() for _ = 1, 5e9 do end\n",
  ["stubborn.lua"] = "local function loop(word) io.write(word, '\\n'):flush() for _ = 1, 5e9 do end end\n"
    .. "print(pcall(loop, 'ready')) loop('again')\n",
  ["own_spec.lua"] = "it('adds', function() assert.equal(2, 1 + 1) end)\n",
  ["run_busted.lua"] = "require 'busted.runner' { standalone = false }\n",
}

local clean_environment = { LUA_INIT = false, LUA_INIT_5_4 = false }

describe("scalloc-lua", function()
  local folder

  setup(function()
    folder = helper.new_folder(files)
    helper.link_program(assert(helper.find_program "lua5.4"), folder .. "/standard", "lua5.4")
    helper.link_program(helper.interpreter, folder .. "/ours", "lua5.4")
  end)

  teardown(function() helper.remove_folder(folder) end)

  --- Runs a shell command in which "lua5.4" means the program chosen.
  local function shell(program, command, with)
    with = with or {}
    local environment = {}
    for name, value in pairs(clean_environment) do environment[name] = value end
    for name, value in pairs(with.environment or {}) do environment[name] = value end
    return helper.run(folder, command, { stdin = with.stdin, environment = environment, path = folder .. "/" .. program })
  end

  local function run(program, arguments, with)
    local words = { "lua5.4" }
    for _, argument in ipairs(arguments) do words[#words + 1] = helper.quote(argument) end
    return shell(program, table.concat(words, " "), with)
  end

  local function without_long_options(result)
    result.stderr = result.stderr:gsub("  %-%-%l[^\n]*\n", "")
    return result
  end

  --- Takes the lines of `input` out of `output`, where each follows a prompt. Prompts end in "> " in this spec.
  local function without_echo(output, input)
    local from = 1
    for line in input:gsub("[^\n]$", "%0\n"):gmatch "([^\n]*)\n" do
      local first, last = output:find("> " .. line .. "\n", from, true)
      if first then
        output = output:sub(1, first + 1) .. output:sub(last + 1)
        from = first + 2
      end
    end
    return output
  end

  --- Both programs behave alike on these arguments. Returns how, for what a test wants to know in addition.
  local function alike(arguments, with)
    local expected = run("standard", arguments, with)
    local found = without_long_options(run("ours", arguments, with))
    assert.same(expected, found)
    return found
  end

  --- As alike, for an interactive session that reads `input`.
  local function alike_interactive(input, arguments)
    arguments = arguments or { "-i" }
    local expected = run("standard", arguments, { stdin = input })
    expected.stdout = without_echo(expected.stdout, input)
    local found = run("ours", arguments, { stdin = input })
    assert.same(expected, found)
    return found
  end

  describe("with -e", function()
    it("runs the statement", function() assert.equal("1\n", alike({ "-e", "print(1)" }).stdout) end)
    it("takes the statement joined to the option", function() alike { "-eprint(1)" } end)
    it("runs several in their order", function() alike { "-e", "x = 1", "-eprint(x)", "-e", "print(x + 1)" } end)
    it("takes an empty statement", function() alike { "-e", "" } end)
    it("runs it before the script", function() alike { "-e", "print = function() io.write('mine') end", "hello.lua" } end)
    it("does not read stdin then", function() alike({ "-e", "x = 1" }, { stdin = "print('stdin')" }) end)
    it("reads stdin after it if told to", function() alike({ "-e", "x = 1", "-" }, { stdin = "print('stdin', x)" }) end)
    it("stops at a syntax error", function() assert.equal(1, alike({ "-e", "x =", "-e", "print(1)" }).code) end)
    it("stops at a runtime error", function() assert.equal(1, alike({ "-e", "x.y = 1", "hello.lua" }).code) end)
    it("needs an argument", function()
      for _, arguments in ipairs { { "-e" }, { "-e", "-v" }, { "-v", "-e", "--" } } do
        assert.equal(1, alike(arguments).code)
      end
    end)
    it("does nothing if a later option is wrong", function()
      assert.equal("", alike({ "-e", "print(1)", "-x" }).stdout)
    end)
  end)

  describe("with -l", function()
    it("requires a module into a global of its name", function() alike { "-l", "module", "-e", "print(module.name)" } end)
    it("takes the name joined to the option", function() alike { "-lmodule", "-e", "print(module.name)" } end)
    it("requires a module into a global of another name", function()
      alike { "-l", "m=module", "-e", "print(m.name, module)" }
      alike { "-lm=module", "-e", "print(m.name, module)" }
    end)
    it("takes odd forms as lua5.4 does", function()
      for _, form in ipairs { "=math", "m=", "=", "a=b=c", "" } do alike { "-l", form, "-e", "print(m, a)" } end
    end)
    it("loads modules written in C", function()
      alike { "-l", "lfs", "-e", "print(lfs.attributes('hello.lua', 'size'))" }
    end)
    it("says that there is no such module", function() assert.equal(1, alike({ "-l", "no_such_module" }).code) end)
    it("says what is wrong with a module", function() assert.equal(1, alike({ "-lbroken_module", "hello.lua" }).code) end)
    it("needs an argument", function()
      for _, arguments in ipairs { { "-l" }, { "-l", "-" } } do assert.equal(1, alike(arguments).code) end
    end)
    it("keeps its place among -e and -W", function()
      alike { "-e", "require = function(name) print('asked for', name) return name end", "-l", "a=b", "-e", "print(a)" }
    end)
  end)

  describe("with -v", function()
    it("writes Lua's copyright line", function()
      assert.equal(helper.output_of "lua5.4 -v" .. "\n", alike({ "-v" }).stdout)
    end)
    it("does not read stdin", function() alike({ "-v" }, { stdin = "print(1)" }) end)
    it("writes it before everything else", function() alike { "-e", "print(1)", "-v", "hello.lua" } end)
    it("writes it once", function() alike { "-v", "-v" } end)
  end)

  describe("with -W", function()
    it("turns warnings on", function()
      assert.equal("Lua warning: careful\n", alike({ "-W", "-e", "warn('careful')" }).stderr)
    end)
    it("leaves them off otherwise", function() assert.equal("", alike({ "-e", "warn('careful')" }).stderr) end)
    it("does so at its place", function() alike { "-e", "warn('a')", "-W", "-e", "warn('b', 'c')" } end)
    it("lets the script turn them off", function() alike { "-W", "-e", "warn('@off') warn('a') warn('@on') warn('b')" } end)
    it("shows errors in finalizers", function()
      alike { "-W", "-e", "setmetatable({}, { __gc = function() error('in gc') end }) collectgarbage()" }
    end)
  end)

  describe("with an option it does not know", function()
    it("says so, shows the usage, and fails", function()
      local unknown = { "-x", "-vv", "-ix", "-i-", "-E1", "-Wx", "-V", "--x", "--e", "---", "--version", "--mem", "-\n" }
      for _, option in ipairs(unknown) do
        local result = alike { option, "hello.lua" }
        assert.equal(1, result.code)
        assert.matches("unrecognized option", result.stderr, 1, true)
      end
    end)
  end)

  describe("with a script", function()
    it("passes it the arguments", function() alike { "hello.lua", "a", "b c", "-e", "" } end)
    it("makes the table arg, with the options at negative indices", function()
      alike { "arguments.lua" }
      alike { "arguments.lua", "a", "--", "-i" }
      alike { "-E", "-W", "-e", "x = 1", "arguments.lua", "a", "b" }
      alike { "-W", "--", "arguments.lua", "-v" }
    end)
    it("takes the arguments from arg as it is then", function()
      alike { "-e", "arg[1], arg[2] = 'changed', 'added'", "hello.lua", "a" }
      alike { "-e", "arg = { 1, 2, 3 }", "hello.lua", "a" }
      assert.equal(1, alike({ "-e", "arg = nil", "hello.lua" }).code)
      assert.equal(1, alike({ "-e", "arg = setmetatable({}, { __len = function() return 1e8 end })", "hello.lua" }).code)
    end)
    it("skips a first line that begins with #", function() alike { "shebang.lua" } end)
    it("takes what follows -- as the script", function() assert.equal("the file named -\n", alike({ "--", "-" }).stdout) end)
    it("says that there is no such file", function() assert.equal(1, alike({ "no_such_file.lua" }).code) end)
    it("says that the file is a folder", function() assert.equal(1, alike({ "." }).code) end)
    it("says where the syntax is wrong", function()
      assert.equal(1, alike({ "syntax.lua" }).code)
      assert.equal(1, alike({ "unfinished.lua" }).code)
    end)
    it("ignores what the script returns", function() assert.equal(0, alike({ "-e", "return 1, nil, error" }).code) end)
    it("gives an error a traceback", function()
      local result = alike { "failing.lua" }
      assert.equal(1, result.code)
      assert.matches("in upvalue 'inner'", result.stderr, 1, true)
    end)
    it("takes anything as an error", function()
      for _, object in ipairs {
        "nil", "12", "'text', 0", "{}", "print", "setmetatable({}, { __tostring = function() return 'described' end })",
        "setmetatable({}, { __tostring = function() return 1 end })", "setmetatable({}, { __name = 'a name' })",
        "setmetatable({}, { __tostring = function() error('again') end })",
      } do
        assert.equal(1, alike({ "-e", "error(" .. object .. ")" }).code)
      end
    end)
    it("survives a stack overflow", function()
      local results = {}
      for i, program in ipairs { "standard", "ours" } do
        results[i] = run(program, { "-e", "local function f() return 1 + f() end f()" })
        -- How deep exactly depends on how many stack slots main uses itself.
        results[i].stderr = results[i].stderr:gsub("skipping %d+ levels", "skipping levels")
      end
      assert.same(results[1], results[2])
      assert.matches("stack overflow", results[2].stderr, 1, true)
    end)
    it("says that memory is short", function()
      local result = alike { "-e", "io.read(1 << 46)" }
      assert.equal(1, result.code)
      assert.matches("not enough memory", result.stderr, 1, true)
    end)
  end)

  describe("with a script on stdin", function()
    it("runs it if there is nothing else to do", function() alike({}, { stdin = "print('hello', ...)" }) end)
    it("runs it if only options are given", function()
      alike({ "-E", "-W" }, { stdin = "for i = -3, 3 do print(i, arg[i]) end print(...) warn('w')" })
    end)
    it("passes it the arguments behind -", function()
      alike({ "-", "a", "b" }, { stdin = files["arguments.lua"] })
    end)
    it("fails with it if - is given", function() assert.equal(1, alike({ "-" }, { stdin = "error('x')" }).code) end)
    it("does not fail with it if - is not given", function() assert.equal(0, alike({}, { stdin = "error('x')" }).code) end)
    it("says where its syntax is wrong", function() alike({ "-" }, { stdin = "x = \n = 1" }) end)
  end)

  describe("with -i", function()
    it("prints what expressions give", function() alike_interactive "1 + 1\n'a', nil, 2\n= 7 // 2, 'b'\nnil\nx = 5\nx\n" end)
    it("prints nothing for statements", function() alike_interactive "x = 1\nlocal y = 2\n;\nreturn\n" end)
    it("reads on while a statement is incomplete", function()
      alike_interactive "for i = 1, 2 do\nprint('i', i)\nend\n= 1 +\n2\ns = [[a\nb]]\n= s\nif x then\n\n\nend\n"
    end)
    it("runs the last line without a newline", function() alike_interactive "print('last')" end)
    it("shows errors without the program's name and goes on", function()
      alike_interactive "error('a')\nerror({})\nx = = 1\n@\nlocal\nfor\n5\n"
      alike_interactive "error(setmetatable({}, { __tostring = function() return 'me' end }))\n5\n"
    end)
    it("prints through the global print", function()
      alike_interactive "print = nil\n1\nprint = error\n1\nprint = 3\n1\n"
      alike_interactive "print = function(...) io.write('mine: ', ..., '\\n') end\n1\n"
    end)
    it("shows _PROMPT and _PROMPT2", function()
      -- Lines that fit a terminal: readline shows longer ones in part.
      local meta = "m = { __tostring = function() return 'next> ' end }"
      alike_interactive("_PROMPT = 'first> '\n" .. meta .. "\n_PROMPT2 = setmetatable({}, m)\nx =\n1\n")
    end)
    it("ends if a prompt cannot be shown", function()
      assert.equal(1, alike_interactive("_PROMPT = setmetatable({}, { __tostring = function() error('p') end })\n1\n").code)
    end)
    it("follows the script and the other options", function()
      alike_interactive("x\nlocal_name\n", { "-e", "x = 1", "-i", "hello.lua", "a" })
    end)
    it("does not start after an error", function()
      assert.equal(1, alike_interactive("print(1)\n", { "-i", "failing.lua" }).code)
      assert.equal(1, alike_interactive("print(1)\n", { "-i", "-e", "error('x')" }).code)
    end)
    it("ends with os.exit", function() assert.equal(4, alike_interactive("os.exit(4)\nprint(1)\n").code) end)

    -- lua5.4 5.4.4 writes "(null)" here: it reports the value below the message.
    it("shows the error of a statement that is incomplete at the end of stdin", function()
      assert.equal("stdin:1: unexpected symbol near <eof>\n", run("ours", { "-i" }, { stdin = "x = (" }).stderr)
    end)
  end)

  describe("on a terminal", function()
    local session = [[
      export TERM=dumb
      wait_for() { i=0; until grep -qs "$1" terminal || [ $i -ge 500 ]; do sleep 0.02; i=$((i + 1)); done; }
      rm -f terminal
      { echo "1 + 41"; echo "print('re' .. 'ady') for _ = 1, 5e9 do end"; wait_for ready
        printf '\003'; wait_for traceback; echo "print('af' .. 'ter')"; wait_for after; printf '\004'; } |
      script -qefc 'exec lua5.4' terminal >/dev/null
    ]]

    it("starts an interactive session, which Ctrl-C does not end", function()
      if not helper.find_program "script" then return pending "needs the program script" end
      local result = shell("ours", session)
      local shown = helper.read_file(folder .. "/terminal")
      assert.equal(0, result.code)
      local version = helper.output_of "lua5.4 -v"
      for _, text in ipairs { version, "42", "ready", "interrupted!", "stdin:1: in main chunk", "after" } do
        assert.matches(text, shown, 1, true)
      end
    end)
  end)

  describe("with LUA_INIT", function()
    local function alike_with(environment, arguments)
      return alike(arguments or { "-e", "print('then', x)" }, { environment = environment })
    end

    it("runs it first", function() alike_with { LUA_INIT = "x = 'init'" } end)
    it("prefers LUA_INIT_5_4", function()
      alike_with { LUA_INIT = "x = 'init'", LUA_INIT_5_4 = "x = 'versioned'" }
      alike_with { LUA_INIT = "x = 'init'", LUA_INIT_5_4 = "" }
    end)
    it("runs the file it names behind @", function()
      alike_with { LUA_INIT = "@hello.lua" }
      assert.equal(1, alike_with({ LUA_INIT_5_4 = "@no_such_file.lua" }).code)
    end)
    it("ends with its error", function()
      assert.equal(1, alike_with({ LUA_INIT = "error('q')" }).code)
      assert.equal(1, alike_with({ LUA_INIT_5_4 = "x = = 1" }, { "-v", "hello.lua" }).code)
    end)
    it("knows the table arg", function() alike_with({ LUA_INIT = "print(arg[0], arg[1])" }, { "hello.lua", "a" }) end)
  end)

  describe("with -E", function()
    local environment = {
      LUA_INIT = "print('init')", LUA_PATH = "/p/?.lua;;", LUA_CPATH = "/c/?.so", LUA_PATH_5_4 = false, LUA_CPATH_5_4 = false,
    }
    local show = "print(package.path, package.cpath)"

    it("ignores LUA_INIT, LUA_PATH and LUA_CPATH", function()
      local ignored = alike({ "-E", "-e", show }, { environment = environment }).stdout
      assert.not_matches("/p/?.lua", ignored, 1, true)
      assert.not_matches("/c/?.so", ignored, 1, true)
      assert.not_matches("^init", ignored)
      assert.equal(ignored, alike({ "-e", show, "-E" }, { environment = environment }).stdout)
    end)
    it("is what keeps them from counting", function()
      local counted = alike({ "-e", show }, { environment = environment }).stdout
      assert.matches("init\n/p/?.lua;", counted, 1, true)
      assert.matches("\t/c/?.so\n", counted, 1, true)
    end)
  end)

  it("closes with every finalizer, in order, errors and all", function()
    local text = "note = print object = function() end path = './' seed = tonumber(arg[2]) other_state = print\n"
      .. "dofile('cases.lua').cases[arg[1]]()"
    helper.write_file(folder .. "/cases.lua", helper.read_file "tests/lua_close/cases.lua")
    helper.write_file(folder .. "/case.lua", text)
    for _, name in ipairs { "newest_first", "errors", "deep_errors", "resurrection", "coroutines", "files", "weak" } do
      alike { "case.lua", name, "1" }
    end
    for seed = 1, 5 do alike { "case.lua", "random", tostring(seed) } end
  end)

  it("prints what lua5.4 prints on the example scripts", function()
    local scripts = helper.output_of "ls examples/scripts/*.lua"
    for script in scripts:gmatch "[^\n]+" do alike { lfs.currentdir() .. "/" .. script, "3" } end
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
      helper.write_file(folder .. "/cases.lua", helper.read_file "tests/lua_close/cases.lua")
      helper.write_file(folder .. "/leave.lua", "note = print dofile('cases.lua').exits[arg[1]]()")
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
        os.remove(folder .. "/written")
        run(program, { "-e", "f = io.open('written', 'w') f:write('kept')" })
        assert.equal("kept", helper.read_file(folder .. "/written"))
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

  describe("with --mem-limit", function()
    local fill = "local t = {} for i = 1, 1e9 do t[i] = { i } end"

    it("ends a script that wants more with a message and 1", function()
      local result = run("ours", { "--mem-limit=4M", "-e", fill })
      assert.same({ "", "lua5.4: not enough memory\n", "exit", 1 }, { result.stdout, result.stderr, result.how, result.code })
    end)

    it("does not disturb one that wants less", function()
      local result = run("ours", { "--mem-limit=4M", "-e", "print(#('x'):rep(1500000))" })
      assert.same({ "1500000\n", "", 0 }, { result.stdout, result.stderr, result.code })
    end)

    it("is an error that the script can catch", function()
      local result = run("ours", { "--mem-limit=1024K", "-e", "print(pcall(function() " .. fill .. " end)) print(#('y'):rep(5e5))" })
      assert.same({ "false\tnot enough memory\n500000\n", "", 0 }, { result.stdout, result.stderr, result.code })
    end)

    it("is not in force before the interpreter is set up, but for LUA_INIT", function()
      assert.equal(0, run("ours", { "--mem-limit=100K", "-e", "" }).code)
      local result = run("ours", { "--mem-limit=100K", "-e", "" }, { environment = { LUA_INIT = "x = ('x'):rep(200000)" } })
      assert.same({ "lua5.4: not enough memory\n", 1 }, { result.stderr, result.code })
    end)

    it("is shown by the module", function()
      assert.equal("1073741824\t0\n", run("ours", { "--mem-limit=1G", "-e", "print(require'scalloc'.limit())" }).stdout)
    end)

    it("takes sizes alone", function()
      for _, size in ipairs { "", "0", "x", "M", "10MB", "-1", "99999999999999G", "1.5M" } do
        local result = run("ours", { "--mem-limit=" .. size, "-e", "print(1)" })
        assert.equal(1, result.code)
        assert.equal("", result.stdout)
        assert.equal("lua5.4: no such value: '--mem-limit=" .. size .. "'", result.stderr:match "^[^\n]*")
      end
    end)
  end)

  describe("with --heap-map", function()
    local work = "keep = {} for i = 1, 50000 do keep[i] = { ('x'):rep(i % 50) } end"

    local function page_of(arguments)
      os.remove(folder .. "/map.html")
      local result = run("ours", arguments)
      local file = io.open(folder .. "/map.html")
      return result, file and file:read "a", file and file:close()
    end

    it("writes one page that needs nothing else", function()
      local result, page = page_of { "--heap-map=map.html", "-e", work }
      assert.same({ "", "", 0 }, { result.stdout, result.stderr, result.code })
      assert.matches("^<!DOCTYPE html>", page)
      assert.matches("</html>\n$", page)
      for _, heading in ipairs { "Memory over time", "Bytes by type", "Largest holders", "Spans by size of block" } do
        assert.matches("<h2>" .. heading .. "</h2>", page)
      end
      assert.is_nil(page:find "src=" or page:find "href=" or page:find "url%(" or page:find "<script")
    end)

    it("names the script, whatever it is called", function()
      helper.write_file(folder .. "/a<b>&c.lua", "print 'ran'")
      local result, page = page_of { "--heap-map=map.html", "a<b>&c.lua" }
      assert.equal("ran\n", result.stdout)
      assert.matches("<title>Heap map: a&lt;b&gt;&amp;c.lua</title>", page, 1, true)
    end)

    it("counts what the script keeps", function()
      local _, page = page_of { "--heap-map=map.html", "-e", work }
      local blocks = page:match '<tr><td class="n">56</td>.-</tr>':match '<td class="n">([%d,]+)</td></tr>'
      assert.is_true(tonumber((blocks:gsub(",", ""))) >= 50000, blocks .. " blocks of 56 bytes")
    end)

    it("is written when the script fails, and when it exits", function()
      for _, ending in ipairs { "error 'oops'", "os.exit(3)", "os.exit(3, true)" } do
        local result, page = page_of { "--heap-map=map.html", "-e", work .. " " .. ending }
        assert.not_equal(0, result.code)
        assert.matches("</html>\n$", page)
      end
    end)

    it("tells why it cannot be written", function()
      local result = run("ours", { "--heap-map=no/map.html", "-e", "print(1)" })
      assert.same({ "1\n", "lua5.4: no/map.html: No such file or directory\n", 0 }, { result.stdout, result.stderr, result.code })
      assert.equal(1, run("ours", { "--heap-map=", "-e", "" }).code)
    end)

    it("does not change what --mem-stats tells", function()
      local big = "x = ('x'):rep(5000000) x = nil collectgarbage() collectgarbage()"
      local plain = json.decode(run("ours", { "--mem-stats=json", "-e", big }).stderr).lua.bytes.peak
      local mapped = json.decode(run("ours", { "--mem-stats=json", "--heap-map=map.html", "-e", big }).stderr).lua.bytes.peak
      assert.near(plain, mapped, 20000)
    end)
  end)

  describe("with --mem-stats", function()
    local work = "t = {} for i = 1, 1e5 do t[i] = { i } end"

    local function figure(text, label)
      return tonumber(text:match(label .. "%s+([%d.]+) %l+\n"))
    end

    it("shows a table on stderr after the script's own output", function()
      local result = run("ours", { "--mem-stats", "-e", work .. " io.stderr:write('mine\\n')" })
      assert.equal(0, result.code)
      assert.equal("", result.stdout)
      assert.matches("^mine\nLua, used at the end", result.stderr)
      assert.is_true(figure(result.stderr, "Lua, used at the end") > 2e6)
      assert.is_true(figure(result.stderr, "Lua, peak") >= figure(result.stderr, "Lua, used at the end"))
      assert.is_true(figure(result.stderr, "process, peak resident") > 2e6)
      assert.is_true(figure(result.stderr, "process, page tables") >= 4096)
      assert.is_true(figure(result.stderr, "close") > 0)
      assert.matches("\nspans%s+hot%s+floating%s+reusable%s+pooled%s+large\n", result.stderr)
      assert.matches("\n  Lua, at the end%s+%d+%s+%d+%s+%d+%s+%-%s+%d+\n", result.stderr)
      assert.matches("\n  process%s+%d+%s+%d+%s+%d+%s+%d+%s+%d+\n$", result.stderr)
    end)

    --- What --mem-stats=json shows for a statement, which may write nothing on stderr itself.
    local function stats_of(statement)
      local result = run("ours", { "--mem-stats=json", "-e", statement })
      local text = assert(result.stderr:match "^({[^\n]*})\n$", "not one line: " .. result.stderr)
      local object, _, complaint = json.decode(text)
      assert.is_nil(complaint)
      return object, result
    end

    it("shows one JSON object with =json", function()
      local stats = stats_of(work)
      assert.is_true(stats.lua.bytes.used > 2e6)
      assert.is_true(stats.lua.bytes.peak >= stats.lua.bytes.used)
      assert.is_number(stats.lua.spans.hot)
      assert.is_number(stats.process.spans.pooled)
      assert.is_true(stats.peak_rss_bytes > 2e6)
      assert.is_true(stats.page_table_bytes >= 4096)
      assert.is_true(stats.close_seconds > 0)
    end)
    it("counts what the script left, before finalizers run", function()
      local stats = stats_of "x = setmetatable({}, { __gc = function() y = ('y'):rep(1e7) end }) collectgarbage()"
      assert.is_true(stats.lua.bytes.used < 1e6)
      assert.is_true(stats_of("y = ('y'):rep(1e7)").lua.bytes.used > 1e7)
    end)
    it("shows them at os.exit with a close as at the end of the script", function()
      local stats, result = stats_of(work .. " os.exit(5, true)")
      assert.equal(5, result.code)
      assert.is_true(stats.lua.bytes.used > 2e6)
      assert.is_true(stats.close_seconds > 0)
    end)
    it("shows them at os.exit with a close inside a coroutine", function()
      local stats, result = stats_of(work .. " coroutine.wrap(function() os.exit(5, true) end)()")
      assert.equal(5, result.code)
      assert.is_true(stats.lua.bytes.used > 2e6)
    end)
    it("shows them at os.exit without a close, which then took no time", function()
      local stats, result = stats_of(work .. " os.exit(5)")
      assert.equal(5, result.code)
      assert.is_true(stats.lua.bytes.used > 2e6)
      assert.equal(nil, stats.close_seconds)
    end)
    it("shows them after an error", function()
      local result = run("ours", { "--mem-stats", "failing.lua" })
      assert.equal(1, result.code)
      assert.matches("oops.-traceback.-Lua, used at the end", result.stderr)
    end)
    it("does not disturb the script", function()
      local plain = run("standard", { "finalizer.lua", "{ 3, true }" })
      local measured = run("ours", { "--mem-stats", "finalizer.lua", "{ 3, true }" })
      assert.same({ plain.stdout, plain.code }, { measured.stdout, measured.code })
    end)
    it("is the script's own option behind its name", function() alike { "arguments.lua", "--mem-stats", "--help" } end)
  end)

  describe("with --help", function()
    it("shows the usage on stdout and succeeds", function()
      local usage = run("standard", { "-x" }).stderr:match "\n(.*)$"
      local result = run("ours", { "--help" })
      assert.equal(0, result.code)
      assert.equal("", result.stderr)
      assert.equal(usage, (result.stdout:gsub("  %-%-%l[^\n]*\n", "")))
    end)
    it("runs nothing", function() assert.not_matches("ran", run("ours", { "-e", "print('ran')", "--help" }).stdout) end)
  end)

  describe("as an interpreter of Lua programs", function()
    it("runs busted", function()
      local result = run("ours", { "run_busted.lua", "own_spec.lua" })
      assert.equal(0, result.code)
      assert.matches("1 success", result.stdout, 1, true)
    end)
  end)
end)

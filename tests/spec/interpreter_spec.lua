--- scalloc-lua does what lua5.4 does: the same command line gives the same stdout, stderr and exit code.

local helper = require "tests.spec.helper"
local interpreter = require "tests.spec.interpreter"
local lfs = require "lfs"

local alike, run = interpreter.alike, interpreter.run

describe("scalloc-lua", function()
  setup(interpreter.setup)
  teardown(interpreter.teardown)

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
      alike({ "-", "a", "b" }, { stdin = interpreter.files["arguments.lua"] })
    end)
    it("fails with it if - is given", function() assert.equal(1, alike({ "-" }, { stdin = "error('x')" }).code) end)
    it("does not fail with it if - is not given", function() assert.equal(0, alike({}, { stdin = "error('x')" }).code) end)
    it("says where its syntax is wrong", function() alike({ "-" }, { stdin = "x = \n = 1" }) end)
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

  it("prints what lua5.4 prints on the example scripts", function()
    local scripts = helper.output_of "ls examples/scripts/*.lua"
    for script in scripts:gmatch "[^\n]+" do alike { lfs.currentdir() .. "/" .. script, "3" } end
  end)
end)

--- What the specs of scalloc-lua share: lua5.4 and scalloc-lua, both under the name "lua5.4", in a folder of small files.
--
-- Both run in the same folder, so that what they write can be compared as it is. Only two differences are taken away first: the
-- lines of the usage text that describe long options, which lua5.4 does not have, and the echo of the input that lua5.4's
-- readline writes when stdin is no terminal.

local assert = require "luassert"
local helper = require "tests.spec.helper"

local interpreter = {}

interpreter.files = {
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

--- For setup and teardown of a spec; in between `folder` is where the files are.
function interpreter.setup()
  interpreter.folder = helper.new_folder(interpreter.files)
  helper.link_program(assert(helper.find_program "lua5.4"), interpreter.folder .. "/standard", "lua5.4")
  helper.link_program(helper.interpreter, interpreter.folder .. "/ours", "lua5.4")
end

function interpreter.teardown() helper.remove_folder(interpreter.folder) end

--- Runs a shell command in which "lua5.4" means the program chosen.
function interpreter.shell(program, command, with)
  with = with or {}
  local environment = {}
  for name, value in pairs(clean_environment) do environment[name] = value end
  for name, value in pairs(with.environment or {}) do environment[name] = value end
  local path = interpreter.folder .. "/" .. program
  return helper.run(interpreter.folder, command, { stdin = with.stdin, environment = environment, path = path })
end

function interpreter.run(program, arguments, with)
  local words = { "lua5.4" }
  for _, argument in ipairs(arguments) do words[#words + 1] = helper.quote(argument) end
  return interpreter.shell(program, table.concat(words, " "), with)
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
function interpreter.alike(arguments, with)
  local expected = interpreter.run("standard", arguments, with)
  local found = without_long_options(interpreter.run("ours", arguments, with))
  assert.same(expected, found)
  return found
end

--- As alike, for an interactive session that reads `input`.
function interpreter.alike_interactive(input, arguments)
  arguments = arguments or { "-i" }
  local expected = interpreter.run("standard", arguments, { stdin = input })
  expected.stdout = without_echo(expected.stdout, input)
  local found = interpreter.run("ours", arguments, { stdin = input })
  assert.same(expected, found)
  return found
end

return interpreter

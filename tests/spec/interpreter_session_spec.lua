--- scalloc-lua in an interactive session is as lua5.4.

local helper = require "tests.spec.helper"
local interpreter = require "tests.spec.interpreter"

local alike_interactive, run, shell = interpreter.alike_interactive, interpreter.run, interpreter.shell

describe("scalloc-lua", function()
  setup(interpreter.setup)
  teardown(interpreter.teardown)

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
      local shown = helper.read_file(interpreter.folder .. "/terminal")
      assert.equal(0, result.code)
      local version = helper.output_of "lua5.4 -v"
      for _, text in ipairs { version, "42", "ready", "interrupted!", "stdin:1: in main chunk", "after" } do
        assert.matches(text, shown, 1, true)
      end
    end)
  end)
end)

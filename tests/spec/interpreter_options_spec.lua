--- What scalloc-lua has and lua5.4 has not: its long options. And it runs programs written for lua5.4.

local helper = require "tests.spec.helper"
local interpreter = require "tests.spec.interpreter"
local json = require "dkjson"

local alike, run = interpreter.alike, interpreter.run

describe("scalloc-lua", function()
  setup(interpreter.setup)
  teardown(interpreter.teardown)

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
      os.remove(interpreter.folder .. "/map.html")
      local result = run("ours", arguments)
      local file = io.open(interpreter.folder .. "/map.html")
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
      helper.write_file(interpreter.folder .. "/a<b>&c.lua", "print 'ran'")
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

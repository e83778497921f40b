--- Limits, budgets, injected failures.

local scalloc = require "tests.spec.module.on_scalloc"

--- Calls f in a limit of so many bytes more than are in use.
local function limited(more, f)
  collectgarbage()
  assert(scalloc.limit(scalloc.count() + more))
  local ok, message = pcall(f)
  assert(scalloc.limit(0))
  return ok, message
end

local function fill()
  local t = {}
  for i = 1, math.huge do t[i] = { i } end
end

describe("limit", function()
  it("is a clean error for who goes beyond it, and the state is usable", function()
    local ok, message = limited(1000000, fill)
    assert.is_false(ok)
    assert.equal("not enough memory", message)
    collectgarbage()
    assert.equal(100, #("x"):rep(100))
    assert.is_true(scalloc.check())
  end)

  it("does not harm who stays below it", function()
    assert.is_true(limited(1000000, function() return { {}, {}, ("x"):rep(1000) } end))
  end)

  it("tells the old limits, hard and soft", function()
    local hard, soft = scalloc.count() + 100000000, scalloc.count() + 50000000
    assert.same({ 0, 0 }, { scalloc.limit() })
    assert.same({ 0, 0 }, { scalloc.limit(hard, soft) })
    assert.same({ hard, soft }, { scalloc.limit() })
    assert.same({ hard, soft }, { scalloc.limit(0) })
    assert.same({ 0, 0 }, { scalloc.limit() })
  end)

  it("is 0 for what is not given", function()
    local hard = scalloc.count() + 100000000
    scalloc.limit(hard, hard)
    scalloc.limit(hard)
    assert.same({ hard, 0 }, { scalloc.limit() })
    scalloc.limit(nil)
    assert.same({ 0, 0 }, { scalloc.limit() })
  end)

  it("counts how often the soft one was crossed", function()
    collectgarbage()
    local before = scalloc.stats().pressures
    scalloc.limit(0, scalloc.count() + 10000)
    local t = {}
    for i = 1, 10000 do t[i] = {} end
    scalloc.limit(0)
    assert.equal(before + 1, scalloc.stats().pressures)
    assert.equal(10000, #t)
  end)

  it("cannot be below what is in use", function()
    local set, message = scalloc.limit(1000)
    assert.is_nil(set)
    assert.truthy(message:match "^%d+ bytes are in use$", message)
    assert.same({ 0, 0 }, { scalloc.limit() })
  end)

  it("wants numbers", function()
    assert.has_error(function() scalloc.limit "much" end)
    assert.has_error(function() scalloc.limit(-1) end)
    assert.has_error(function() scalloc.limit(0 / 0) end)
  end)

  it("shows in the stats what was refused", function()
    local before = scalloc.stats()
    limited(100000, fill)
    local after = scalloc.stats()
    assert.is_true(after.refusals > before.refusals)
    assert.is_true(after.failures > before.failures)
  end)
end)

describe("withlimit", function()
  it("returns what the function returns", function()
    assert.same({ true, 1, nil, 3 }, { scalloc.withlimit(100000, function(a, b) return a, nil, b end, 1, 3) })
    assert.same({ true }, { scalloc.withlimit(100000, function() end) })
  end)

  it("returns false and the error", function()
    local object = {}
    assert.same({ false, object }, { scalloc.withlimit(100000, function() error(object) end) })
    local ok, message = scalloc.withlimit(100000, fill)
    assert.is_false(ok)
    assert.equal("not enough memory", message)
  end)

  it("bounds what is used in between", function()
    collectgarbage()
    collectgarbage()
    local before = scalloc.count()
    scalloc.peak(true)
    scalloc.withlimit(500000, fill)
    assert.is_true(scalloc.peak() <= before + 510000)
  end)

  it("nests: the narrowest holds", function()
    local function grow()
      local t = {}
      for i = 1, 1000 do t[i] = {} end
      return #t
    end
    local inner
    collectgarbage() -- what is garbage now would make room in the budgets
    collectgarbage()
    assert.is_true(scalloc.withlimit(10000000, function()
      inner = { scalloc.withlimit(10000, grow) }
      return grow()
    end))
    assert.same({ false, "not enough memory" }, inner)
    collectgarbage()
    collectgarbage()
    local outer = scalloc.withlimit(10000, function() assert(scalloc.withlimit(10000000, grow)) end)
    assert.is_false(outer)
  end)

  it("ends with the call", function()
    scalloc.withlimit(1000, fill)
    assert.equal(1000000, #("x"):rep(1000000))
  end)

  it("wants bytes and a function", function()
    assert.has_error(function() scalloc.withlimit() end)
    assert.has_error(function() scalloc.withlimit(100) end)
    assert.is_false((scalloc.withlimit(100, "no function")))
  end)
end)

describe("failafter", function()
  it("refuses every growth after so many", function()
    local ok, message = scalloc.failafter(10, fill)
    assert.is_false(ok)
    assert.equal("not enough memory", message)
    assert.equal(1000, #("z"):rep(1000))
  end)

  it("returns what the function returns", function()
    assert.same({ true, 3, nil, "x" }, { scalloc.failafter(1000, function(...) return select("#", ...), ... end, nil, "x", nil) })
  end)

  it("fails cleanly wherever it strikes", function()
    local function work()
      local t = {}
      for i = 1, 20 do t[i] = { name = ("n"):rep(i), co = coroutine.create(function() return i end) } end
      return table.concat({ t[1].name, t[2].name }, " ")
    end
    local failures = 0
    for growths = 0, math.huge do
      local ok, result = scalloc.failafter(growths, work)
      if ok then break end
      assert.equal("not enough memory", result)
      failures = failures + 1
    end
    assert.is_true(failures > 5)
    assert.is_true(scalloc.check())
  end)

  it("nests: the fewest growths hold, and go on", function()
    local inner
    local outer = { scalloc.failafter(3, function()
      inner = scalloc.failafter(100000, fill) -- without a growth of its own
      return fill()
    end) }
    assert.is_false(inner)
    assert.same({ false, "not enough memory" }, outer)
    assert.same({ true }, { scalloc.failafter(1000, function()
      assert(not scalloc.failafter(0, fill)) -- with its end the outer one is as before
      for i = 1, 50 do local _ = { i } end
    end) })
    assert.is_false((scalloc.failafter(1000, function()
      scalloc.failafter(10, function() end)
      fill()
    end)))
  end)

  it("may be left on", function()
    assert.is_true(scalloc.failafter(1000000))
    assert.is_true(scalloc.failafter())
  end)
end)

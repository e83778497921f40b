--- Figures of the heap, as a script sees them.

local scalloc = require "tests.spec.module.on_scalloc"

describe("scalloc", function()
  it("tells its version, that of CMakeLists.txt", function()
    local file = assert(io.open "CMakeLists.txt")
    local version = file:read("*a"):match "project%(scalloc VERSION ([%d.]+)"
    file:close()
    assert.equal("scalloc " .. version, scalloc._VERSION)
  end)

  it("leaves no global behind", function() assert.is_nil(rawget(_G, "scalloc")) end)

  it("is the same module when it is loaded again", function()
    package.loaded.scalloc = nil
    local again = require "scalloc"
    assert.is_true(again.active())
    assert.equal(scalloc._VERSION, again._VERSION)
    package.loaded.scalloc = scalloc
  end)

  it("is active", function() assert.is_true(scalloc.active()) end)
end)

describe("count", function()
  it("grows and shrinks with what is kept", function()
    collectgarbage()
    local before, kept = scalloc.count(), {}
    for i = 1, 1000 do kept[i] = ("x"):rep(1000) .. i end
    assert.is_true(scalloc.count() - before > 1000000)
    kept = nil
    collectgarbage()
    collectgarbage()
    assert.is_true(scalloc.count() - before < 100000)
  end)

  it("has units", function()
    collectgarbage "stop"
    local bytes, kilobytes, megabytes = scalloc.count(), scalloc.count "k", scalloc.count "m"
    collectgarbage "restart"
    assert.near(bytes / 1024, kilobytes, 1)
    assert.near(bytes / 1048576, megabytes, 0.01)
    assert.has_error(function() scalloc.count "x" end)
  end)
end)

describe("peak", function()
  it("stays where it has been until it is reset", function()
    local big = ("x"):rep(5000000)
    local count, peak = scalloc.count(), scalloc.peak()
    assert.is_true(peak >= count and #big == 5000000)
    big = nil
    collectgarbage()
    collectgarbage()
    assert.is_true(scalloc.peak(true) >= peak)
    assert.is_true(scalloc.peak() < peak - 1000000, "the peak went down to what is in use")
  end)
end)

describe("stats", function()
  it("agree with count and peak", function()
    collectgarbage "stop"
    local stats, count = scalloc.stats {}, scalloc.count()
    collectgarbage "restart"
    assert.near(count, stats.used, 1000)
    assert.is_true(stats.peak >= stats.used)
    assert.is_true(stats.committed >= stats.used)
    assert.is_true(stats.blocks > 1000)
    assert.is_true(stats.spans_hot + stats.spans_floating + stats.spans_reusable > 0)
  end)

  it("fill a table without allocating", function()
    local stats, histogram = {}, {}
    for _ = 1, 2 do
      scalloc.stats(stats)
      scalloc.histogram(histogram)
    end
    collectgarbage "stop"
    local before = scalloc.count()
    scalloc.stats(stats)
    scalloc.histogram(histogram)
    local after = scalloc.count()
    collectgarbage "restart"
    assert.equal(before, after)
  end)

  it("want a table", function()
    assert.has_error(function() scalloc.stats(1) end)
    assert.has_error(function() scalloc.histogram "x" end)
    assert.has_error(function() scalloc.tags(true) end)
  end)
end)

describe("histogram", function()
  it("counts blocks by the size of their class", function()
    local before = scalloc.histogram()
    local kept = {}
    for i = 1, 500 do kept[i] = ("%05d"):format(i) .. ("y"):rep(3000) end
    local after = scalloc.histogram()
    local more = 0
    for size, blocks in pairs(after) do
      if type(size) == "number" and size >= 3000 and size < 4000 then more = more + blocks - (before[size] or 0) end
    end
    assert.is_true(more >= 490, more .. " blocks more")
    assert.equal(500, #kept)
  end)
end)

describe("tags", function()
  it("sum up to what is live", function()
    collectgarbage "stop"
    local bytes, blocks = scalloc.tags()
    local stats = scalloc.stats()
    collectgarbage "restart"
    local sum, count = 0, 0
    for _, n in pairs(bytes) do sum = sum + n end
    for _, n in pairs(blocks) do count = count + n end
    assert.near(stats.blocks, count, 50)
    assert.is_true(sum > 0 and sum < stats.committed)
  end)
end)

describe("check", function()
  it("finds the heap sound", function() assert.is_true(scalloc.check()) end)
end)

--- The Lua code of docs/lua.md does what it says: what it prints is what stands behind "-->".

local fresh = require "tests.spec.module.fresh"

local file = assert(io.open "docs/lua.md")
local text = file:read "*a"
file:close()

describe("docs/lua.md", function()
  local count = 0
  for kind, code in text:gmatch "\n```lua( ?%a*)\n(.-)\n```" do
    count = count + 1
    it(("says what its block %d prints"):format(count), function()
      local expected = {}
      for line in code:gmatch "%-%->%s*([^\n]*)" do expected[#expected + 1] = line .. "\n" end
      assert.is_true(#expected > 0)
      local prelude = kind == " types" and "if jit then jit.off() end " or ""
      assert.equal(table.concat(expected), fresh.run(prelude .. code, kind ~= " types"))
    end)
  end

  it("has such blocks", function() assert.is_true(count >= 6) end)
end)

-- Writes docs/bench.md from what the suites left in bench/results: for each its machine, its goals, its sentences and plots, and
-- the way to its tables.
--
--   lua5.4 bench/document.lua [RESULTS [PAGE]]     default bench/results docs/bench.md

package.path = "bench/?.lua;" .. package.path
local suite, goals = require "suite", require "goals"

local SUITES = { "lua", "lua-states", "malloc", "contention", "gc", "ablations" }

local HEAD = [[
# Measured

Written by `bench/document.lua` from [bench/results](../bench/results), which `bench/run` fills; do not edit. What is measured and how
is said in [bench/README.md](../bench/README.md). The reference beside the Lua programs, `floor`, is a `lua_Alloc` that does as little
as one can, keeps no account and gives nothing back: what no allocator is much faster than. Sixteen cores are
[a page of their own](../bench/results/many-cores.md).
]]

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

-- The lines under the first heading, without what it says about itself.
local function facts_of(text)
  local facts = text:match("^# [^\n]*\n(.-)\n## ") or text:match("^# [^\n]*\n(.*)")
  return (facts:gsub("Written by [^\n]*\n", ""):gsub("^\n+", ""))
end

-- Whole sentences about what came out: "Time: ...", "- gcbench, 1 mutator: ..." and plots, under their headings; of the ablations all
-- that stands under "Effects".
local function findings_of(text, folder)
  local lines, heading = {}, nil
  for line in text:gmatch("[^\n]+") do
    local is_goal = heading == "## " .. goals.TITLE or heading == "## Effects"
    if line:match("^## ") then
      heading = line
      lines[#lines + 1] = "\n#" .. line .. "\n"
    elseif is_goal or line:match("^[A-Z][%a ,]*: scalloc") or line:match("^%- .*: .*libgc") then
      lines[#lines + 1] = line .. (line:match("^[-|]") and "" or "\n")
    elseif line:match("^!%[") then
      lines[#lines + 1] = "\n" .. line:gsub("%]%(", "](" .. folder .. "/") .. "\n"
    end
  end
  return table.concat(lines, "\n")
end

-- Headings that nothing stands under say nothing.
local function without_empty(text)
  local before
  repeat
    before = text
    text = text:gsub("\n### [^\n]*\n+(\n### )", "%1"):gsub("\n### [^\n]*\n*$", "\n")
  until text == before
  return text
end

local function section_of(name, results)
  local path = ("%s/%s.md"):format(results, name)
  if not exists(path) then return ("\n## %s\n\nNot measured yet: `bench/run %s`.\n"):format(name, name) end
  local text = suite.read(path)
  local title = text:match("^# ([^\n]*)")
  return ("\n## %s\n\n%s\nAll tables: [%s.md](../%s).\n%s\n"):format(title, facts_of(text), name, path,
    without_empty(findings_of(text, "../" .. results)))
end

local function main(results, page)
  local parts = { HEAD }
  for _, name in ipairs(SUITES) do parts[#parts + 1] = section_of(name, results) end
  suite.write(page, (table.concat(parts):gsub("\n\n\n+", "\n\n"):gsub("\n*$", "\n")))
end

main(arg[1] or "bench/results", arg[2] or "docs/bench.md")

-- The benchmark of Lua states: what it costs to close a large one, to make and close a small one, and to have many idle ones.
--
-- Started by bench/run from the repository's root, after it has checked the options, installed packages and built. Arguments are
-- KEY=VALUE; `peer=NAME=SONAME=PACKAGE` and `lib=NAME=PATH` may repeat. In each case the sides take turns, one run each, and every
-- repetition starts with another one. A result is refused, with exit status 1, when a run fails or writes to stderr, or when a
-- preloaded library is not what the program's calls of realloc and free are bound to.
-- Order of this file: cases and sides, one run, the schedule, tables, files.

local PROGRAM = "build/bin/lua-states"

package.path = "bench/?.lua;" .. package.path
local suite, allocators, goals = require "suite", require "allocators", require "goals"
local fail, read, map = suite.fail, suite.read, suite.map

-- Cases and sides

-- Every allocator is a side with lua_close or, scalloc, FULL; where something is closed, scalloc's FAST is one more.
local function sides_of(options, with_fast)
  local sides = map(options.allocators, function(allocator)
    local ours = allocator.name == allocators.OURS
    return { name = ours and with_fast and "scalloc FULL" or allocator.name, allocator = allocator,
      arguments = { ours and "--scalloc=1" or "--scalloc=0" } }
  end)
  if with_fast then
    local ours = sides[#sides]
    for _, side in ipairs(sides) do if side.allocator.name == allocators.OURS then ours = side end end
    sides[#sides + 1] = { name = "scalloc FAST", allocator = ours.allocator, arguments = { "--scalloc=1", "--fast=1" } }
  end
  return sides
end

-- metric: the figure of the program's report, how it is shown
local function cases_of(options)
  local size, cases = options.quick == 1 and 6 or 60, {}
  local milliseconds = { key = "seconds", unit = "ms", format = "%.3f", scale = 1e3 }
  for _, gc in ipairs { "incremental", "generational" } do
    for _, finalizers in ipairs { 0, 5000 } do
      cases[#cases + 1] = { section = "close", metric = milliseconds, label = ("%d MB, %s, %d finalizers"):format(size, gc, finalizers),
        sides = sides_of(options, true), arguments = { "--megabytes=" .. size, "--finalizers=" .. finalizers,
          "--generational=" .. (gc == "generational" and 1 or 0) } }
    end
  end
  local idle = options.quick == 1 and 1000 or 10000
  cases[#cases + 1] = { section = "cycle", label = "newstate, openlibs, close", sides = sides_of(options, true),
    metric = { key = "seconds", unit = "us", format = "%.2f", scale = 1e6 },
    arguments = { "--cycles=" .. (options.quick == 1 and 500 or 5000) } }
  cases[#cases + 1] = { section = "idle", label = ("%d idle states, KB each"):format(idle), sides = sides_of(options, false),
    metric = { key = "memory", unit = "KB", format = "%.1f", scale = 1 / 1024 }, arguments = { "--idle=" .. idle } }
  if options.only == "" then return cases end
  local chosen = {}
  for _, case in ipairs(cases) do
    if ("," .. options.only .. ","):find("," .. case.section .. ",", 1, true) then chosen[#chosen + 1] = case end
  end
  return chosen
end

-- One run

local function command_of(run)
  local command = { PROGRAM }
  table.move(run.side.arguments, 1, #run.side.arguments, #command + 1, command)
  table.move(run.case.arguments, 1, #run.case.arguments, #command + 1, command)
  return allocators.in_clean_environment(run.side.allocator, {}, command)
end

local function execute(options, run)
  local wrong = suite.run_measured(options, command_of(run))
  if wrong then
    fail("%s, %s: %s\n  stderr: %s\n  again with: %s", run.case.label, run.side.name, wrong,
      suite.last_lines(read(options.tmp .. "/stderr"), 10), suite.shell(command_of(run)))
  end
  local sample = suite.numbers_of(read(options.tmp .. "/stdout"))
  if sample.rss_bytes then sample.memory = sample.rss_bytes + sample.table_bytes end
  if not sample[run.case.metric.key] then fail("%s, %s: no figure", run.case.label, run.side.name) end
  sample.case, sample.side, sample.repetition = run.case.label, run.side.name, run.repetition
  return sample
end

-- The schedule

local function measure_all(options, cases)
  local runs, samples, began = {}, {}, os.time()
  for _, case in ipairs(cases) do
    for repetition = 1, options.runs do
      for _, side in ipairs(suite.rotated(case.sides, repetition - 1)) do
        runs[#runs + 1] = { case = case, side = side, repetition = repetition }
      end
    end
  end
  for i, run in ipairs(runs) do
    suite.progress(options, ("%s, repetition %d/%d, %s"):format(run.case.label, run.repetition, options.runs, run.side.name), i - 1,
      #runs, began)
    samples[i] = execute(options, run)
  end
  suite.progress_ends(options)
  return samples
end

-- The spread of one figure of a side in a case; nil if the side takes no part.
local function spread_of(samples, case, side_name, key)
  local values = {}
  for _, sample in ipairs(samples) do
    if sample.case == case.label and sample.side == side_name then values[#values + 1] = sample[key] end
  end
  return #values > 0 and suite.spread(values) or nil
end

-- Tables

local SECTIONS = {
  { name = "close", title = "Closing a large state, ms" },
  { name = "cycle", title = "Making a state, opening its libraries and closing it, microseconds" },
  { name = "idle", title = "Idle states with libraries: RSS + page tables of each, KB" },
}

local function cell(samples, case, side)
  local metric, reference = case.metric, spread_of(samples, case, case.sides[1].name, case.metric.key)
  local mine = spread_of(samples, case, side.name, metric.key)
  local text = (metric.format .. " [" .. metric.format .. "-" .. metric.format .. "]"):format(mine.median * metric.scale,
    mine.min * metric.scale, mine.max * metric.scale)
  return side == case.sides[1] and text or ("%s (%.3f)"):format(text, mine.median / reference.median)
end

local function rows_of(samples, cases, section)
  local rows, names = {}, nil
  for _, case in ipairs(cases) do
    if case.section == section.name then
      names = names or { "", table.unpack(map(case.sides, function(side) return side.name end)) }
      rows[#rows + 1] = { case.label, table.unpack(map(case.sides, function(side) return cell(samples, case, side) end)) }
    end
  end
  if names then table.insert(rows, 1, names) end
  return rows
end

-- What of a fast close is left to do later: pages given back to the system.
local function purge_line(samples, cases)
  for _, case in ipairs(cases) do
    if case.section == "close" then
      local purge = spread_of(samples, case, "scalloc FAST", "purge_seconds")
      return ("Giving the pages of %s back to the system afterwards, which no close waits for: %.1f ms.\n"):format(case.label,
        purge.median * 1e3)
    end
  end
end

-- What the figures are held to: a close of FAST and a life of a small state with FAST, memory of an idle one.
local GOALS = {
  close = { side = "scalloc FAST", what = "FAST close, milliseconds", most = 1, scale = 1e3,
    applies = function(case) return not case.label:find("generational", 1, true) end },
  cycle = { side = "scalloc FAST", what = "FAST, time to glibc's", most = 0.8 },
  idle = { side = allocators.OURS, what = "memory to glibc's", most = 1 },
}

local function goal_line(samples, case)
  local goal, key = GOALS[case.section], case.metric.key
  local mine, reference = spread_of(samples, case, goal.side, key), spread_of(samples, case, case.sides[1].name, key)
  if not mine or (goal.applies and not goal.applies(case)) then return nil end
  local value = goal.scale and mine.median * goal.scale or mine.median / reference.median
  return goals.at_most(("%s: %s"):format(case.label, goal.what), value, goal.most)
end

local function tables(samples, cases, markdown)
  local parts = { "Median [least-most] (ratio of medians to glibc's)\n" }
  for _, section in ipairs(SECTIONS) do
    local rows = rows_of(samples, cases, section)
    if #rows > 0 then
      parts[#parts + 1] = (markdown and "## " or "") .. section.title .. "\n"
      parts[#parts + 1] = suite.render(rows, markdown)
    end
  end
  parts[#parts + 1] = purge_line(samples, cases)
  local lines = {}
  for _, case in ipairs(cases) do lines[#lines + 1] = goal_line(samples, case) end
  parts[#parts + 1] = goals.section(lines, markdown)
  return table.concat(parts, "\n")
end

-- Files

local function facts_text(options, known)
  return table.concat({ suite.machine_text(known), ("Lua: %s. Compiler: %s, Release. %s."):format(known.lua, known.compiler,
    known.date), ("%d runs of each%s."):format(options.runs, suite.quick_note(options)) },
    "\n") .. allocators.versions_text(options, known)
end

local function csv(options, samples, cases)
  local lines = { "case,side,runs,unit,median,least,most" }
  for _, case in ipairs(cases) do
    for _, side in ipairs(case.sides) do
      local s, scale = spread_of(samples, case, side.name, case.metric.key), case.metric.scale
      lines[#lines + 1] = ('"%s",%s,%d,%s,%.6f,%.6f,%.6f'):format(case.label, side.name, options.runs,
        case.metric.unit, s.median * scale, s.min * scale, s.max * scale)
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

local function save(options, samples, cases)
  local known = allocators.facts(options)
  known.lua = suite.package_version("liblua5.4-dev")
  suite.write(options.out .. "/lua-states.json", ('{"suite": "lua-states", "quick": %s, "runs": %d,\n"facts": %s,\n"samples": %s}\n')
    :format(options.quick == 1, options.runs, suite.to_json(known), suite.to_json(samples)))
  suite.write(options.out .. "/lua-states.csv", csv(options, samples, cases))
  suite.write(options.out .. "/lua-states.md", "# Lua states\n\nWritten by `bench/run lua-states`; [how it is measured](../README.md).\n\n"
    .. facts_text(options, known) .. "\n" .. tables(samples, cases, true))
end

local function main(arguments)
  local options = allocators.options_of(arguments, { host = allocators.OURS })
  allocators.begin(options, PROGRAM)
  local cases = cases_of(options)
  local samples = measure_all(options, cases)
  save(options, samples, cases)
  io.write(tables(samples, cases, false), "\nresults: ", options.out, "/lua-states.{md,csv,json}\n")
end

main(arg)

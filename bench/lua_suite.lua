-- The Lua benchmark: the programs of examples/scripts in one host, on one allocator after the other.
--
-- Started by bench/run from the repository's root, after it has checked the options, installed packages and built. Arguments
-- are KEY=VALUE; `peer=NAME=SONAME=PACKAGE` and `lib=NAME=PATH` may repeat. For each script and GC mode the allocators take
-- turns, one run each, and every repetition, which goes through all scripts, starts with another one: what drifts on the machine
-- drifts for all, and what disturbs it for a while disturbs one run of a script.
-- A result is refused, with exit status 1, when a run fails or writes to stderr, when outputs differ between allocators, or
-- when a preloaded library is not what the host's calls of realloc and free are bound to.
-- Order of this file: options, one run, the whole schedule, statistics, tables, files.

local HOST, SCRIPTS = "build/bin/lua-host", "examples/scripts/"
local OURS, FLOOR = "scalloc", "floor"
local MIB = 1024 * 1024

package.path = "bench/?.lua;" .. package.path
local suite, allocators, compare, goals = require "suite", require "allocators", require "compare", require "goals"
local fail, read, write, shell, output_of = suite.fail, suite.read, suite.write, suite.shell, suite.output_of
local map, words_of, numbers_of, to_json = suite.map, suite.words_of, suite.numbers_of, suite.to_json
local last_lines, rotated, spread, render = suite.last_lines, suite.rotated, suite.spread, suite.render

-- Options and allocators

local function all_scripts()
  return map(words_of(output_of("ls " .. SCRIPTS), "\n"), function(name) return name:match("^(.*)%.lua$") end)
end

local function gc_modes(choice) return choice == "both" and { "incremental", "generational" } or { choice } end

-- What lua-host is told: libc's allocator, whichever the process has, or scalloc's own.
local function options_of(arguments)
  local options = allocators.options_of(arguments, { host = OURS })
  table.insert(options.allocators, { name = FLOOR, host = FLOOR,
    version = "not an allocator to use: free lists by size and nothing else (bench/lua_floor.c)" })
  for _, allocator in ipairs(options.allocators) do allocator.host = allocator.host or "libc" end
  options.gc = gc_modes(options.gc)
  options.scripts = options.only ~= "" and words_of(options.only, ",") or all_scripts()
  return options
end

-- One run

local function host_command(options, run)
  local command = { HOST, "--alloc=" .. run.allocator.host, "--gc=" .. run.gc, "--report=" .. options.tmp .. "/report.json",
    SCRIPTS .. run.script .. ".lua", tostring(options.scale) }
  return allocators.in_clean_environment(run.allocator, {}, command)
end

local function explain(options, run, what)
  fail("%s, %s GC, %s: %s\n  stderr: %s\n  again with: %s", run.script, run.gc, run.allocator.name, what,
    last_lines(read(options.tmp .. "/stderr"), 10), shell(host_command(options, run)):gsub("%-%-report=%S+ ", ""))
end

local function check_output(options, run, expected)
  local key, output = run.script .. " " .. run.gc, read(options.tmp .. "/stdout")
  if #output == 0 then explain(options, run, "printed nothing, so there is nothing to check") end
  expected[key] = expected[key] or output
  if expected[key] ~= output then
    explain(options, run, ("output differs from %s's:\n  %s\n  instead of\n  %s"):format(options.allocators[1].name,
      last_lines(output, 3), last_lines(expected[key], 3)))
  end
end

-- The host says where the state lived; scalloc's side must also show scalloc's own counters.
local function check_report(options, run, report)
  local alloc, gc = report:match('"alloc"%s*:%s*"(%w+)"'), report:match('"gc"%s*:%s*"(%w+)"')
  if alloc ~= run.allocator.host then explain(options, run, "the host ran on " .. tostring(alloc)) end
  if gc ~= run.gc then explain(options, run, "the host's collector was " .. tostring(gc)) end
  if alloc == OURS and not report:find('"stats"%s*:%s*{') then explain(options, run, "the host's report has no stats") end
end

local function sample_of(options, run)
  local report = read(options.tmp .. "/report.json")
  check_report(options, run, report)
  local host = numbers_of((report:gsub('"stats".*', "")))
  local process = numbers_of(read(options.tmp .. "/measure.json"))
  for _, key in ipairs { "run_seconds", "close_seconds" } do
    if not host[key] then explain(options, run, "the host's report lacks " .. key) end
  end
  return { script = run.script, gc = run.gc, allocator = run.allocator.name, repetition = run.repetition, host = host,
    process = process, run = host.run_seconds, close = host.close_seconds, total = host.run_seconds + host.close_seconds,
    memory = process.peak_sum_bytes }
end

local function execute(options, run, expected)
  os.remove(options.tmp .. "/report.json")
  local wrong = suite.run_measured(options, host_command(options, run))
  if wrong then explain(options, run, wrong) end
  check_output(options, run, expected)
  return sample_of(options, run)
end

-- The schedule

local function schedule(options)
  local runs = {}
  for repetition = 1, options.runs do
    for number, script in ipairs(options.scripts) do
      for _, gc in ipairs(options.gc) do
        for _, allocator in ipairs(rotated(options.allocators, repetition - 1)) do
          runs[#runs + 1] = { script = script, number = number, gc = gc, repetition = repetition, allocator = allocator }
        end
      end
    end
  end
  return runs
end

local function progress(options, run, done, total, began)
  suite.progress(options, ("script %d/%d %s, %s, repetition %d/%d, %s"):format(run.number, #options.scripts, run.script, run.gc,
    run.repetition, options.runs, run.allocator.name), done, total, began)
end

local function measure_all(options)
  local samples, expected, runs, began = {}, {}, schedule(options), os.time()
  for i, run in ipairs(runs) do
    progress(options, run, i - 1, #runs, began)
    samples[i] = execute(options, run, expected)
  end
  suite.progress_ends(options)
  return samples
end

-- Statistics

local function select_samples(samples, gc, script, allocator)
  local result = {}
  for _, sample in ipairs(samples) do
    if sample.gc == gc and sample.script == script and sample.allocator == allocator then result[#result + 1] = sample end
  end
  return result
end

-- For each GC mode a comparison of total, run, close and memory.
local function statistics(options, samples)
  local stats = {}
  for _, gc in ipairs(options.gc) do
    local cells = {}
    for _, script in ipairs(options.scripts) do
      local row = {}
      for _, allocator in ipairs(options.allocators) do
        local mine, cell = select_samples(samples, gc, script, allocator.name), {}
        for _, key in ipairs { "total", "run", "close", "memory" } do
          cell[key] = spread(map(mine, function(sample) return sample[key] end))
        end
        row[allocator.name] = cell
      end
      cells[script] = row
    end
    stats[gc] = { allocators = options.allocators, rows = options.scripts, row_title = "script", cells = cells }
  end
  return stats
end

-- Tables

local function time_rows(of_gc)
  local rows = compare.value_rows(of_gc, "total", function(seconds) return ("%.3f"):format(seconds) end)
  rows[#rows + 1] = compare.mean_row(of_gc, "geometric mean, medians", "total", "median")
  rows[#rows + 1] = compare.mean_row(of_gc, "geometric mean, minima", "total", "min")
  return rows
end

local function memory_rows(of_gc)
  local rows = compare.value_rows(of_gc, "memory", function(bytes) return ("%.1f"):format(bytes / MIB) end)
  rows[#rows + 1] = compare.mean_row(of_gc, "geometric mean", "memory", "median")
  return rows
end

-- How much of the time is left to gain by doing less.
local function floor_line(of_gc)
  local function mean(name, which) return compare.geometric_mean(of_gc, name, "total", which) end
  return ("Time: scalloc takes %.3f of what `floor` takes in the medians, %.3f in the minima."):format(
    mean(OURS, "median") / mean(FLOOR, "median"), mean(OURS, "min") / mean(FLOOR, "min"))
end

local function goals_of(options, stats)
  local lines = {}
  for _, gc in ipairs(options.gc) do
    local time, memory = compare.verdict(stats[gc], "total", "median"), compare.verdict(stats[gc], "memory", "median")
    table.move({
      goals.at_most(gc .. " GC, time to glibc's", time.to_reference, 0.72),
      goals.at_most(gc .. " GC, time to the best peer's", time.to_best_peer, 0.90),
      goals.at_most(gc .. " GC, worst time of a program to its best peer's", time.worst_to_best_peer.ratio, 1.05),
      goals.at_most(gc .. " GC, peak memory to the best peer's", memory.to_best_peer, 1),
    }, 1, 4, #lines + 1, lines)
  end
  return lines
end

local function tables(options, stats, markdown)
  local parts, heading = {}, markdown and "## " or ""
  for _, gc in ipairs(options.gc) do
    local of_gc = stats[gc]
    parts[#parts + 1] = ("%s%s GC\n\nTime: median seconds of run + close (ratio to glibc)\n"):format(heading,
      gc:sub(1, 1):upper() .. gc:sub(2))
    parts[#parts + 1] = render(time_rows(of_gc), markdown)
    parts[#parts + 1] = "Peak memory: median MiB of RSS + page tables (ratio to glibc)\n"
    parts[#parts + 1] = render(memory_rows(of_gc), markdown)
    parts[#parts + 1] = compare.verdict_line(of_gc, "Time, medians", "total", "median") .. "\n"
    parts[#parts + 1] = compare.verdict_line(of_gc, "Time, minima", "total", "min") .. "\n"
    parts[#parts + 1] = floor_line(of_gc) .. "\n"
    parts[#parts + 1] = compare.verdict_line(of_gc, "Peak memory", "memory", "median") .. "\n"
    if markdown then parts[#parts + 1] = ("![%s GC, geometric means](lua-%s.svg)\n"):format(gc, gc) end
  end
  parts[#parts + 1] = goals.section(goals_of(options, stats), markdown)
  return table.concat(parts, "\n")
end

-- Facts

local function facts(options)
  local result = allocators.facts(options)
  result.lua = suite.package_version("liblua5.4-dev")
  return result
end

local function facts_text(options, known)
  local lines = {
    suite.machine_text(known),
    ("Lua: %s. Compiler: %s, Release. %s."):format(known.lua, known.compiler, known.date),
    ("%d scripts at scale %d, %d runs of each on each allocator%s."):format(#options.scripts, options.scale, options.runs,
      suite.quick_note(options)),
  }
  return table.concat(lines, "\n") .. allocators.versions_text(options, known)
end

-- Files

local function csv(options, stats)
  local lines = { "script,gc,allocator,runs,total_median_s,total_min_s,total_max_s,run_median_s,run_min_s,run_max_s,"
    .. "close_median_s,close_min_s,close_max_s,peak_memory_median_bytes" }
  for _, script in ipairs(options.scripts) do
    for _, gc in ipairs(options.gc) do
      for _, allocator in ipairs(options.allocators) do
        local cell, fields = stats[gc].cells[script][allocator.name], { script, gc, allocator.name, options.runs }
        for _, key in ipairs { "total", "run", "close" } do
          for _, which in ipairs { "median", "min", "max" } do fields[#fields + 1] = ("%.6f"):format(cell[key][which]) end
        end
        fields[#fields + 1] = ("%.0f"):format(cell.memory.median)
        lines[#lines + 1] = table.concat(fields, ",")
      end
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

local function json(options, samples, stats, known)
  local summary = {}
  for _, gc in ipairs(options.gc) do
    summary[gc] = { time_medians = compare.verdict(stats[gc], "total", "median"),
      time_minima = compare.verdict(stats[gc], "total", "min"), memory = compare.verdict(stats[gc], "memory", "median") }
  end
  local slim = map(samples, function(sample)
    return { script = sample.script, gc = sample.gc, allocator = sample.allocator, repetition = sample.repetition,
      host = sample.host, process = sample.process }
  end)
  return ('{"suite": "lua", "quick": %s, "runs": %d, "scale": %d,\n"facts": %s,\n"summary": %s,\n"samples": %s}\n'):format(
    options.quick == 1, options.runs, options.scale, to_json(known), to_json(summary), to_json(slim))
end

local function save(options, samples, stats)
  local known = facts(options)
  write(options.out .. "/lua.json", json(options, samples, stats, known))
  write(options.out .. "/lua.csv", csv(options, stats))
  write(options.out .. "/lua.md", "# Lua programs\n\nWritten by `bench/run lua`; [how it is measured](../README.md).\n\n"
    .. facts_text(options, known) .. "\n" .. tables(options, stats, true))
  for _, gc in ipairs(options.gc) do write(("%s/lua-%s.svg"):format(options.out, gc), compare.plot(stats[gc],
    ("Lua programs, %s GC"):format(gc), { { "total", "Time, run + close" }, { "memory", "Peak memory, RSS + page tables" } })) end
end

local function main(arguments)
  local options = options_of(arguments)
  allocators.begin(options, HOST)
  local samples = measure_all(options)
  local stats = statistics(options, samples)
  save(options, samples, stats)
  io.write(tables(options, stats, false), "\nresults: ", options.out, "/lua.{md,csv,json}\n")
end

main(arg)

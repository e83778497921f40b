-- What each idea gives: scalloc against builds and settings of itself that leave one idea out, on loads on malloc, on Lua programs
-- and on many idle Lua states.
--
-- Started by bench/run from the repository's root, after it has checked the options, installed packages and built; this file builds
-- the variants in build/ablations. Arguments are KEY=VALUE. In each case the variants take turns, one run each, and every
-- repetition, which goes through all cases, starts with another one. A run that fails or writes to stderr ends it all with exit
-- status 1.
-- Order of this file: variants, cases, one run, the schedule, tables, files.

package.path = "bench/?.lua;" .. package.path
local suite, allocators = require "suite", require "allocators"
local fail, read, map = suite.fail, suite.read, suite.map

-- Variants. `build`: SCALLOC_ABLATION, the numbers of scalloc/config.h.

local WHOLE = "as it is"
local VARIANTS = {
  { name = WHOLE, build = 0, without = "nothing" },
  { name = "one stack", build = 1, without = "a stack of the pool for each processor: all threads share one" },
  { name = "whole spans", build = 2, without = "real spans that grow: a class may use 2 MB from the start" },
  { name = "no 8-byte classes", build = 3, without = "classes of 8, 24, 40, 56 bytes, which the Lua path uses; nor do states begin in cells" },
  { name = "late return", build = 4, without = "the return of a span in the `free` that empties it: a later `malloc` of its class gives it back" },
  { name = "no cells", build = 5, without = "cells, in which young Lua states begin" },
  { name = "no reuse", build = 0, setting = "SCALLOC_REUSE_THRESHOLD=100", without = "reusable spans: a span that is left is used again when it is empty" },
  { name = "purged at once", build = 0, setting = "SCALLOC_PURGE_DELAY_MS=0", without = "the delay of half a second before empty spans lose their pages" },
  { name = "never purged", build = 0, setting = "SCALLOC_PURGE_DELAY_MS=-1", without = "the purge" },
}

local function folder_of(variant) return "build/ablations/" .. variant.build end

local function build_variants(options)
  for build = 0, 5 do
    io.stderr:write("building variant ", build, " of 0 to 5\n")
    local folder = folder_of { build = build }
    local configure = suite.shell { "cmake", "-S", ".", "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
      "-DSCALLOC_BUILD_BENCH=ON", "-DSCALLOC_BUILD_TESTS=OFF", "-DSCALLOC_BUILD_EXAMPLES=OFF",
      "-DCMAKE_C_FLAGS=-DSCALLOC_ABLATION=" .. build }
    local compile = suite.shell { "cmake", "--build", folder, "--target", "lua-host", "lua-states", "scalloc_preload" }
    local log = options.tmp .. "/variant.log"
    if not os.execute(("{ %s && %s; } >%s 2>&1"):format(configure, compile, suite.shell { log })) then
      fail("variant %d does not build:\n  %s", build, suite.last_lines(read(log), 30))
    end
  end
end

-- Cases. command(variant): what to run; figures(options): seconds, memory

local LOADS = {
  { "threadtest", { "--rounds=400" }, { "--rounds=20" } },
  { "shbench", { "--rounds=60000" }, { "--rounds=3000" } },
  { "larson", { "--generations=1000" }, { "--generations=20" } },
  { "producer_consumer", { "--remote=50", "--cycles=500" }, { "--remote=50", "--cycles=20" } },
  { "sizes", { "--cycles=100" }, { "--cycles=2" } },
  { "interpreter", { "--rounds=3000" }, { "--rounds=100" } },
  { "symmetric", { "--messages=4000000" }, { "--messages=100000" } },
  { "stress", { "--rounds=200" }, { "--rounds=4" } },
  { "refill", {}, { "--megabytes=2" } },
}

local function environment(variant) return { variant.setting } end

local function load_case(options, name, arguments)
  return { section = "loads", name = name .. ", 2 threads",
    command = function(variant)
      return allocators.in_clean_environment({ library = folder_of(variant) .. "/lib/libscalloc_preload.so" }, environment(variant),
        { "build/bin/malloc-load", name, "--threads=2", table.unpack(arguments) })
    end,
    figures = function(process)
      return suite.numbers_of(read(options.tmp .. "/stdout")).seconds, process.peak_sum_bytes
    end }
end

local function lua_case(options, script)
  local report = options.tmp .. "/report.json"
  return { section = "Lua programs", name = script,
    command = function(variant)
      return allocators.in_clean_environment({}, environment(variant), { folder_of(variant) .. "/bin/lua-host", "--alloc=scalloc",
        "--gc=incremental", "--report=" .. report, "examples/scripts/" .. script .. ".lua", options.quick == 1 and "10" or "100" })
    end,
    figures = function(process)
      local host = suite.numbers_of((read(report):gsub('"stats".*', "")))
      return host.run_seconds + host.close_seconds, process.peak_sum_bytes
    end }
end

local function idle_case(options)
  return { section = "idle states", name = "10,000 idle states",
    command = function(variant)
      return allocators.in_clean_environment({}, environment(variant), { folder_of(variant) .. "/bin/lua-states", "--scalloc=1",
        "--idle=" .. (options.quick == 1 and 1000 or 10000) })
    end,
    figures = function(process) return process.wall_seconds, process.peak_sum_bytes end }
end

local function cases_of(options)
  local cases = map(LOADS, function(load) return load_case(options, load[1], load[options.quick == 1 and 3 or 2]) end)
  for _, path in ipairs(suite.words_of(suite.output_of("ls examples/scripts"), "\n")) do
    cases[#cases + 1] = lua_case(options, (path:gsub("%.lua$", "")))
  end
  cases[#cases + 1] = idle_case(options)
  return cases
end

-- One run

local function execute(options, run)
  local command = run.case.command(run.variant)
  local function explain(what)
    fail("%s, %s: %s\n  stderr: %s\n  again with: %s", run.case.name, run.variant.name, what,
      suite.last_lines(read(options.tmp .. "/stderr"), 10), suite.shell(command))
  end
  local wrong = suite.run_measured(options, command)
  if wrong then explain(wrong) end
  local seconds, memory = run.case.figures(suite.numbers_of(read(options.tmp .. "/measure.json")))
  if not seconds or not memory then explain("wrote no report") end
  return { case = run.case.name, variant = run.variant.name, repetition = run.repetition, seconds = seconds, memory = memory }
end

-- The schedule: samples, and cells[case][variant] = { seconds = list, memory = list }

local function measure_all(options, cases)
  local samples, cells, began, total = {}, {}, os.time(), #cases * #VARIANTS * options.runs
  for _, case in ipairs(cases) do cells[case.name] = {} end
  for repetition = 1, options.runs do
    for _, case in ipairs(cases) do
      for _, variant in ipairs(suite.rotated(VARIANTS, repetition - 1)) do
        suite.progress(options, ("%s, repetition %d/%d, %s"):format(case.name, repetition, options.runs, variant.name), #samples, total, began)
        local sample = execute(options, { case = case, variant = variant, repetition = repetition })
        samples[#samples + 1] = sample
        local cell = cells[case.name][variant.name] or { seconds = {}, memory = {} }
        cells[case.name][variant.name] = cell
        for key, list in pairs(cell) do list[#list + 1] = sample[key] end
      end
    end
  end
  suite.progress_ends(options)
  for _, case in pairs(cells) do
    for _, cell in pairs(case) do cell.seconds, cell.memory = suite.spread(cell.seconds), suite.spread(cell.memory) end
  end
  return samples, cells
end

-- Tables. Of time the fastest run of each: what a variant takes longer in its best run it always takes longer.

local function time_ratio(row, variant) return row[variant.name].seconds.min / row[WHOLE].seconds.min end
local function memory_ratio(row, variant) return row[variant.name].memory.median / row[WHOLE].memory.median end

local function mean(cases, cells, section, variant, ratio)
  local sum, count = 0, 0
  for _, case in ipairs(cases) do
    if case.section == section then sum, count = sum + math.log(ratio(cells[case.name], variant)), count + 1 end
  end
  return ("%.3f"):format(math.exp(sum / count))
end

local function effects(cases, cells)
  local rows = { { "without", "loads: time", "loads: memory", "Lua programs: time", "Lua programs: memory", "idle states: memory" } }
  for _, variant in ipairs(VARIANTS) do
    if variant.name ~= WHOLE then
      rows[#rows + 1] = { variant.name,
        mean(cases, cells, "loads", variant, time_ratio), mean(cases, cells, "loads", variant, memory_ratio),
        mean(cases, cells, "Lua programs", variant, time_ratio), mean(cases, cells, "Lua programs", variant, memory_ratio),
        mean(cases, cells, "idle states", variant, memory_ratio) }
    end
  end
  return rows
end

local function section_rows(cases, cells, section)
  local rows = { { "", table.unpack(map(VARIANTS, function(variant) return variant.name end)) } }
  for _, case in ipairs(cases) do
    local row = cells[case.name]
    if case.section == section then
      rows[#rows + 1] = { case.name, table.unpack(map(VARIANTS, function(variant)
        local cell = row[variant.name]
        if variant.name == WHOLE then return ("%.3f s, %.1f MiB"):format(cell.seconds.min, cell.memory.median / 1048576) end
        return ("%.2f, %.2f"):format(time_ratio(row, variant), memory_ratio(row, variant))
      end)) }
    end
  end
  return rows
end

local function tables(cases, cells, markdown)
  local heading, parts = markdown and "## " or "", {}
  parts[1] = heading .. "Effects\n\nTime and memory without an idea, as a ratio to scalloc as it is: above 1 is what the idea saves. "
    .. "Geometric means; time: the fastest runs; memory: medians of peak RSS + page tables. For the loads, which are programs on "
    .. "malloc, `no 8-byte classes` and `no cells` are scalloc as it is: how far they are from 1 is the noise.\n"
  parts[2] = suite.render(effects(cases, cells), markdown)
  parts[3] = table.concat(map(VARIANTS, function(variant)
    return variant.name == WHOLE and "" or ("- %s: without %s.\n"):format(variant.name, variant.without)
  end))
  for _, section in ipairs { "loads", "Lua programs", "idle states" } do
    parts[#parts + 1] = heading .. section:sub(1, 1):upper() .. section:sub(2) .. "\n\nTime, memory\n"
    parts[#parts + 1] = suite.render(section_rows(cases, cells, section), markdown)
  end
  return table.concat(parts, "\n")
end

-- Files

local function csv(options, cases, cells)
  local lines = { suite.CSV_HEAD:format("variant") }
  for _, case in ipairs(cases) do
    for _, variant in ipairs(VARIANTS) do
      for _, key in ipairs { "seconds", "memory" } do
        lines[#lines + 1] = suite.csv_line(case.name, variant.name, key, options.runs, cells[case.name][variant.name][key])
      end
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

local function save(options, cases, samples, cells)
  local known = suite.machine()
  known.compiler, known.version = suite.compiler(), suite.scalloc_version()
  suite.write(options.out .. "/ablations.json", ('{"suite": "ablations", "quick": %s, "runs": %d,\n"facts": %s,\n"samples": %s}\n'):format(
    options.quick == 1, options.runs, suite.to_json(known), suite.to_json(samples)))
  suite.write(options.out .. "/ablations.csv", csv(options, cases, cells))
  suite.write(options.out .. "/ablations.md", table.concat({
    "# What each idea gives\n\nWritten by `bench/run ablations`; [how it is measured](../README.md).\n",
    suite.machine_text(known), ("Compiler: %s, Release. %s."):format(known.compiler, known.date),
    ("%d runs of each case on each variant%s. scalloc %s.\n"):format(options.runs,
      suite.quick_note(options), known.version),
    tables(cases, cells, true) }, "\n"))
end

local function main(arguments)
  local options = suite.settings_of(arguments)
  suite.begin(options)
  build_variants(options)
  local cases = cases_of(options)
  local samples, cells = measure_all(options, cases)
  save(options, cases, samples, cells)
  io.write(tables(cases, cells, false), "\nresults: ", options.out, "/ablations.{md,csv,json}\n")
end

main(arg)

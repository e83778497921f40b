-- The malloc benchmark: the loads of malloc-load on one allocator after the other.
--
-- Started by bench/run from the repository's root, after it has checked the options, installed packages and built. Arguments
-- are KEY=VALUE; `peer=NAME=SONAME=PACKAGE` and `lib=NAME=PATH` may repeat. For each case the allocators take turns, one run each,
-- and every repetition, which goes through all cases, starts with another one. A result is refused, with exit status 1, when a run
-- fails or writes to stderr, or when a preloaded library is not what the program's calls of realloc and free are bound to.
-- Order of this file: cases, one run, the whole schedule, tables, files.

package.path = "bench/?.lua;" .. package.path
local suite, allocators, compare, goals = require "suite", require "allocators", require "compare", require "goals"
local fail, map, words_of = suite.fail, suite.map, suite.words_of

local LOAD, PRELOAD = "build/bin/malloc-load", "build/lib/libscalloc_preload.so"
local MIB = 1024 * 1024

-- Cases: a load with its options; `quick` makes it short

local function case(program, name, arguments, quick) return { program = program, name = name, arguments = arguments, quick = quick } end

local LOADS = {
  case("threadtest", "threadtest", { "--rounds=400" }, { "--rounds=20" }),
  case("shbench", "shbench", { "--rounds=60000" }, { "--rounds=3000" }),
  case("shbench", "shbench, 1 to 8 bytes", { "--rounds=100000", "--least=1", "--most=8" }, { "--rounds=5000" }),
  case("larson", "larson", { "--generations=1000" }, { "--generations=20" }),
  case("larson", "larson, 16 to 1024 bytes", { "--generations=500", "--least=16", "--most=1024" }, { "--generations=20" }),
  case("active_sharing", "false sharing, active", { "--rounds=4000" }, { "--rounds=200" }),
  case("passive_sharing", "false sharing, passive", { "--rounds=4000" }, { "--rounds=200" }),
  case("producer_consumer", "producer-consumer, 0 % remote", { "--remote=0", "--cycles=500" }, { "--cycles=20" }),
  case("producer_consumer", "producer-consumer, 25 % remote", { "--remote=25", "--cycles=500" }, { "--cycles=20" }),
  case("producer_consumer", "producer-consumer, 50 % remote", { "--remote=50", "--cycles=500" }, { "--cycles=20" }),
  case("producer_consumer", "producer-consumer, 75 % remote", { "--remote=75", "--cycles=500" }, { "--cycles=20" }),
  case("producer_consumer", "producer-consumer, 100 % remote", { "--remote=100", "--cycles=500" }, { "--cycles=20" }),
  case("sizes", "sizes, 16 B to 4 MB", { "--cycles=100" }, { "--cycles=2" }),
  case("locality", "locality, in order", { "--in-order=100" }, { "--visits=1" }),
  case("locality", "locality, half in order", { "--in-order=50" }, { "--visits=1" }),
  case("interpreter", "interpreter", { "--rounds=3000" }, { "--rounds=100" }),
  case("symmetric", "messages, symmetric", { "--messages=4000000" }, { "--messages=100000" }),
  case("asymmetric", "messages, asymmetric", { "--messages=4000000" }, { "--messages=100000" }),
  case("stress", "mixed sizes, short threads", { "--rounds=200" }, { "--rounds=4" }),
  case("large", "large, 100 KB to 25 MB", { "--rounds=150" }, { "--rounds=10" }),
  case("refill", "leak and refill", {}, { "--megabytes=2" }),
  case("forks", "fork server", { "--forks=100" }, { "--forks=5" }),
}

local PROBES = {
  case("latency", "latency", {}, { "--calls=100000" }),
  case("growth", "growth", {}, { "--most=5", "--operations=100000" }),
}

local function select_cases(list, options)
  local wanted = {}
  for _, name in ipairs(words_of(options.only, ",")) do wanted[name] = true end
  local result = {}
  for _, one in ipairs(list) do
    if options.only == "" or wanted[one.program] then
      for _, threads in ipairs(one.probe and { 1 } or options.threads) do
        result[#result + 1] = { program = one.program, threads = threads, case = one,
          name = ("%s, %d thread%s"):format(one.name, threads, threads == 1 and "" or "s") }
      end
    end
  end
  return result
end

local function options_of(arguments)
  local options = allocators.options_of(arguments, { library = PRELOAD })
  options.threads = map(words_of(tostring(options.threads), ","), tonumber)
  for _, one in ipairs(PROBES) do one.probe = true end
  options.loads, options.probes = select_cases(LOADS, options), select_cases(PROBES, options)
  return options
end

-- One run

local function command_of(options, run)
  local command = { LOAD, run.case.program, "--threads=" .. run.case.threads, table.unpack(run.case.case.arguments) }
  if options.quick == 1 then table.move(run.case.case.quick, 1, #run.case.case.quick, #command + 1, command) end
  return allocators.in_clean_environment(run.allocator, {}, command)
end

local function execute(options, run)
  local function explain(what)
    fail("%s, %s: %s\n  stderr: %s\n  again with: %s", run.case.name, run.allocator.name, what,
      suite.last_lines(suite.read(options.tmp .. "/stderr"), 10), suite.shell(command_of(options, run)))
  end
  local wrong = suite.run_measured(options, command_of(options, run))
  if wrong then explain(wrong) end
  local report = suite.numbers_of(suite.read(options.tmp .. "/stdout"))
  if not report.seconds or not report.operations then explain("wrote no report") end
  local process = suite.numbers_of(suite.read(options.tmp .. "/measure.json"))
  report.memory, report.cpu_seconds = process.peak_sum_bytes, process.user_seconds + process.sys_seconds
  return { case = run.case.name, allocator = run.allocator.name, repetition = run.repetition, report = report, process = process }
end

-- The schedule

local function schedule(options)
  local runs = {}
  for repetition = 1, options.runs do
    for _, list in ipairs { options.loads, options.probes } do
      for _, one in ipairs(list) do
        for _, allocator in ipairs(suite.rotated(options.allocators, repetition - 1)) do
          runs[#runs + 1] = { case = one, repetition = repetition, allocator = allocator }
        end
      end
    end
  end
  return runs
end

-- values[case][allocator][key] = list of numbers
local function measure_all(options)
  local samples, values, runs, began = {}, {}, schedule(options), os.time()
  for i, run in ipairs(runs) do
    suite.progress(options, ("%s, repetition %d/%d, %s"):format(run.case.name, run.repetition, options.runs, run.allocator.name),
      i - 1, #runs, began)
    local sample = execute(options, run)
    samples[i] = sample
    local of_case = values[sample.case] or {}
    local cell = of_case[sample.allocator] or {}
    values[sample.case], of_case[sample.allocator] = of_case, cell
    for key, value in pairs(sample.report) do
      cell[key] = cell[key] or {}
      table.insert(cell[key], value)
    end
  end
  suite.progress_ends(options)
  return samples, values
end

local function comparison(options, list, values)
  local cells = {}
  for _, one in ipairs(list) do
    cells[one.name] = {}
    for allocator, keys in pairs(values[one.name]) do
      local cell = {}
      for key, numbers in pairs(keys) do cell[key] = suite.spread(numbers) end
      cells[one.name][allocator] = cell
    end
  end
  return { allocators = options.allocators, rows = map(list, function(one) return one.name end), row_title = "load", cells = cells }
end

-- Tables

local function seconds_text(seconds) return ("%.3f"):format(seconds) end
local function mib_text(bytes) return ("%.1f"):format(bytes / MIB) end

local function load_tables(c, markdown)
  local time = compare.value_rows(c, "seconds", seconds_text)
  time[#time + 1] = compare.mean_row(c, "geometric mean, medians", "seconds", "median")
  time[#time + 1] = compare.mean_row(c, "geometric mean, minima", "seconds", "min")
  local memory = compare.value_rows(c, "memory", mib_text)
  memory[#memory + 1] = compare.mean_row(c, "geometric mean", "memory", "median")
  return {
    (markdown and "## " or "") .. "Loads\n\nTime: median seconds (ratio to glibc)\n", suite.render(time, markdown),
    "Peak memory: median MiB of RSS + page tables (ratio to glibc)\n", suite.render(memory, markdown),
    compare.verdict_line(c, "Time, medians", "seconds", "median") .. "\n",
    compare.verdict_line(c, "Time, minima", "seconds", "min") .. "\n",
    compare.verdict_line(c, "Peak memory", "memory", "median") .. "\n",
  }
end

local PROBE_ROWS = {
  latency = { "malloc_p50_ns", "malloc_p99_ns", "malloc_p99_9_ns", "malloc_p99_99_ns", "malloc_most_ns", "free_p50_ns", "free_p99_ns",
    "free_p99_9_ns", "free_p99_99_ns", "free_most_ns" },
  growth = { "replace_ns_10_3", "visit_ns_10_3", "replace_ns_10_4", "visit_ns_10_4", "replace_ns_10_5", "visit_ns_10_5",
    "replace_ns_10_6", "visit_ns_10_6", "replace_ns_10_7", "visit_ns_10_7" },
}

local PROBE_TITLES = {
  latency = "Latency: nanoseconds of single calls, less the clock's; medians of the runs",
  growth = "Growth: nanoseconds to replace a random block among so many live ones (free and malloc of 16 to 64 bytes), and just to "
    .. "visit one; medians of the runs",
}

local function probe_table(c, one, markdown)
  local rows = { { "", table.unpack(map(c.allocators, function(allocator) return allocator.name end)) } }
  for _, key in ipairs(PROBE_ROWS[one.program]) do
    if c.cells[one.name][allocators.OURS][key] then
      rows[#rows + 1] = { (key:gsub("_ns", ""):gsub("p99_9", "p99.9"):gsub("_", " "):gsub("10 (%d)$", "10^%1")),
        table.unpack(map(c.allocators, function(allocator)
          return ("%.0f"):format(c.cells[one.name][allocator.name][key].median)
        end)) }
    end
  end
  return (markdown and "## " or "") .. PROBE_TITLES[one.program] .. "\n\n" .. suite.render(rows, markdown)
end

-- To one peer, if it takes part.
local function to_peer(c, lines, peer, what, key, limit)
  local function mean(name) return compare.geometric_mean(c, name, key, "median") end
  for _, allocator in ipairs(c.allocators) do
    if allocator.name == peer then
      lines[#lines + 1] = goals.at_most(("%s to %s's"):format(what, peer), mean(allocators.OURS) / mean(peer), limit)
    end
  end
end

local function goals_of(c)
  local lines = {}
  to_peer(c, lines, "mimalloc", "time", "seconds", 0.90)
  lines[#lines + 1] = goals.at_most("worst time of a load to its best peer's",
    compare.verdict(c, "seconds", "median").worst_to_best_peer.ratio, 1.25)
  to_peer(c, lines, "mimalloc", "peak memory", "memory", 1)
  to_peer(c, lines, "jemalloc", "peak memory", "memory", 1)
  return lines
end

local function tables(options, loads, probes, markdown)
  local parts = #options.loads > 0 and load_tables(loads, markdown) or {}
  if markdown and #options.loads > 0 then parts[#parts + 1] = "![Loads on malloc, geometric means](malloc.svg)\n" end
  for _, one in ipairs(options.probes) do parts[#parts + 1] = probe_table(probes, one, markdown) end
  if #options.loads > 0 then parts[#parts + 1] = goals.section(goals_of(loads), markdown) end
  return table.concat(parts, "\n")
end

-- Files

local function facts_text(options, known)
  return table.concat({
    suite.machine_text(known),
    ("Compiler: %s, Release. %s."):format(known.compiler, known.date),
    ("%d runs of each load on each allocator%s."):format(options.runs, suite.quick_note(options)),
  }, "\n") .. allocators.versions_text(options, known)
end

local function csv(options, comparisons)
  local lines = { suite.CSV_HEAD:format("allocator") }
  for _, c in ipairs(comparisons) do
    for _, row in ipairs(c.rows) do
      for _, allocator in ipairs(c.allocators) do
        local cell = c.cells[row][allocator.name]
        for _, key in ipairs(suite.sorted_keys(cell)) do
          lines[#lines + 1] = suite.csv_line(row, allocator.name, key, options.runs, cell[key])
        end
      end
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

local function json(options, samples, loads, known)
  local summary = {}
  if #options.loads > 0 then
    summary = { time_medians = compare.verdict(loads, "seconds", "median"), time_minima = compare.verdict(loads, "seconds", "min"),
      memory = compare.verdict(loads, "memory", "median") }
  end
  return ('{"suite": "malloc", "quick": %s, "runs": %d,\n"facts": %s,\n"summary": %s,\n"samples": %s}\n'):format(options.quick == 1,
    options.runs, suite.to_json(known), suite.to_json(summary), suite.to_json(samples))
end

local function save(options, samples, loads, probes)
  local known = allocators.facts(options)
  suite.write(options.out .. "/malloc.json", json(options, samples, loads, known))
  suite.write(options.out .. "/malloc.csv", csv(options, { loads, probes }))
  suite.write(options.out .. "/malloc.md", "# Loads on malloc\n\nWritten by `bench/run malloc`; [how it is measured](../README.md).\n\n"
    .. facts_text(options, known) .. "\n" .. tables(options, loads, probes, true))
  if #options.loads > 0 then
    suite.write(options.out .. "/malloc.svg", compare.plot(loads, "Loads on malloc",
      { { "seconds", "Time" }, { "memory", "Peak memory, RSS + page tables" } }))
  end
end

local function main(arguments)
  local options = options_of(arguments)
  allocators.begin(options, LOAD)
  local samples, values = measure_all(options)
  local loads, probes = comparison(options, options.loads, values), comparison(options, options.probes, values)
  save(options, samples, loads, probes)
  io.write(tables(options, loads, probes, false), "\nresults: ", options.out, "/malloc.{md,csv,json}\n")
end

main(arg)

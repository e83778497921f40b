-- The benchmark of collectors: the same programs on libgc and on libscalloc_runtime with the collector of bench/gc; and what
-- single functions of libscalloc_runtime cost.
--
-- Started by bench/run from the repository's root, after it has checked the options, installed packages and built. Arguments are
-- KEY=VALUE. In each case the sides take turns, one run each, and every repetition starts with another side. A result is refused,
-- with exit status 1, when a run fails or writes to stderr: the programs check what they have built.
-- Order of this file: what is run, one run, the schedule, tables, files.

package.path = "bench/?.lua;" .. package.path
local suite, goals = require "suite", require "goals"
local fail, map, words_of = suite.fail, suite.map, suite.words_of

local BIN = "build/bin/"
local MIB = 1024 * 1024

-- What is run: sections of cases, and in each case the same program on some sides

local LIBGC = { name = "libgc", suffix = "-libgc", peer = true, arguments = {} }
local LIBGC_ONE = { name = "libgc, 1 marker", suffix = "-libgc", peer = true, arguments = { "--markers=1" } }
local LIBGC_EXACT = { name = "libgc, 1 marker, exact", suffix = "-libgc", peer = true,
  arguments = { "--markers=1", "--interior=0" } }
local OURS = { name = "scalloc", suffix = "-scalloc", arguments = { "--markers=1" } }
local OURS_MANY = { name = "scalloc, all cores mark", suffix = "-scalloc", arguments = { "--markers=0" } }
local OURS_EAGER = { name = "scalloc, swept at once", suffix = "-scalloc", arguments = { "--markers=1", "--eager=1" } }
local ALONE = { name = "scalloc", suffix = "", arguments = {} }

local function metric(key, title, format, scale) return { key = key, title = title, format = format, scale = scale or 1 } end

local SECONDS, MEMORY = metric("seconds", "seconds", "%.3f"), metric("memory", "peak memory, MiB of RSS + page tables", "%.1f", 1 / MIB)
local CPU = metric("cpu_seconds", "seconds of all processors", "%.3f")
local PAUSE = metric("longest_pause_seconds", "longest pause, ms", "%.1f", 1e3)
local MARK_SHARE = metric("mark_seconds", "seconds of marking", "%.3f")

local function case(label, program, ...) return { label = label, program = program, arguments = { ... } } end

local function tree_cases(options)
  local cases, depth = {}, options.quick == 1 and 12 or 18
  for _, program in ipairs { "gcbench", "binary_trees" } do
    for _, mutators in ipairs(options.mutators) do
      cases[#cases + 1] = case(("%s, %d mutator%s"):format(program, mutators, mutators == 1 and "" or "s"), program,
        "--depth=" .. depth, "--mutators=" .. mutators)
    end
  end
  return cases
end

local function span_counts(options) return options.quick == 1 and { 64, 512 } or { 64, 512, 4096, 32768 } end

-- 64 bytes a node; a span holds 512 of them in 32 KB.
local function graph_cases(options)
  return map(span_counts(options), function(spans)
    return case(("%d nodes"):format(spans * 512), "graph", "--objects=" .. spans * 512)
  end)
end

local function sweep_cases(options)
  local cases, megabytes = {}, options.quick == 1 and 8 or 256
  for _, size in ipairs { 32, 64, 256 } do
    for _, live in ipairs { 0, 50, 100 } do
      cases[#cases + 1] = case(("%d bytes, %d %% live"):format(size, live), "sweep", "--size=" .. size, "--live=" .. live,
        "--megabytes=" .. megabytes)
    end
  end
  return cases
end

local function dead_cases(options)
  return map({ 16, 64, 256, 1024, 4096 }, function(size)
    return case(("%d bytes a block"):format(size), "dead_spans", "--size=" .. size, "--spans=" .. (options.quick == 1 and 64 or 2048))
  end)
end

local function mark_cases(options)
  return map(span_counts(options), function(spans) return case(("%d spans"):format(spans), "mark_cost", "--spans=" .. spans) end)
end

local function pause_cases(options)
  local cases = {}
  for _, spans in ipairs { 64, options.quick == 1 and 512 or 32768 } do
    for _, mutators in ipairs { 1, 16, 64 } do
      for _, slots in ipairs { 1, 64 } do
        cases[#cases + 1] = case(("%d spans, %d mutators, %d slots"):format(spans, mutators, slots), "pause", "--spans=" .. spans,
          "--mutators=" .. mutators, "--slots=" .. slots)
      end
    end
  end
  return cases
end

local SECTIONS = {
  { name = "trees", title = "Trees", cases = tree_cases, metrics = { SECONDS, CPU, MEMORY, PAUSE, MARK_SHARE }, verdict = true,
    sides = { LIBGC, LIBGC_ONE, LIBGC_EXACT, OURS, OURS_MANY } },
  { name = "graph", title = "Marking a graph in no order, 64-byte nodes", cases = graph_cases,
    metrics = { metric("mark_ns_median", "ns a node", "%.1f"), MEMORY }, sides = { LIBGC, LIBGC_ONE, OURS, OURS_MANY } },
  { name = "sweep", title = "Getting memory back, pointer-free objects", cases = sweep_cases,
    metrics = { metric("refill_ns_per_object", "ns to sweep and allocate again, each object that died", "%.1f"),
      metric("reclaim_seconds", "ms between marking and going on", "%.4f", 1e3),
      metric("sweep_spans_per_second", "million spans a second", "%.2f", 1e-6),
      metric("sweep_bytes_per_second", "GB a second", "%.1f", 1e-9) },
    sides = { LIBGC, OURS, OURS_EAGER } },
  { name = "dead", title = "scalloc_rt_sweep on spans without a mark", cases = dead_cases, sides = { ALONE },
    metrics = { metric("ns_per_span", "ns a span", "%.0f"), metric("bytes_per_second", "GB a second", "%.1f", 1e-9) } },
  { name = "mark", title = "Marking random 64-byte blocks, ns a call", cases = mark_cases, sides = { ALONE },
    metrics = { metric("mark_first_ns", "mark, first", "%.1f"), metric("mark_again_ns", "mark, again", "%.1f"),
      metric("mark_block_first_ns", "mark_block, first", "%.1f"), metric("mark_block_again_ns", "mark_block, again", "%.1f"),
      metric("resolve_ns", "resolve", "%.1f"), metric("span_touch_ns", "first mark of a span", "%.1f") } },
  { name = "pause", title = "scalloc_rt_cycle_begin and scalloc_rt_cycle_end", cases = pause_cases, sides = { ALONE },
    metrics = { metric("begin_us", "begin, us", "%.2f"), metric("end_us", "end, us", "%.2f") } },
}

local function options_of(arguments)
  local options = suite.settings_of(arguments)
  options.mutators = map(words_of(tostring(options.mutators), ","), tonumber)
  local wanted = {}
  for _, name in ipairs(words_of(options.only, ",")) do wanted[name] = true end
  options.sections = {}
  for _, section in ipairs(SECTIONS) do
    if options.only == "" or wanted[section.name] then options.sections[#options.sections + 1] = section end
  end
  return options
end

-- One run

local function command_of(run)
  local command = { "env", "-i", "PATH=/usr/bin:/bin", BIN .. run.case.program .. run.side.suffix }
  for _, list in ipairs { run.case.arguments, run.side.arguments } do
    for _, argument in ipairs(list) do command[#command + 1] = argument end
  end
  return command
end

local function explain(options, run, what)
  fail("%s, %s: %s\n  stderr: %s\n  again with: %s", run.case.label, run.side.name, what,
    suite.last_lines(suite.read(options.tmp .. "/stderr"), 10), suite.shell(command_of(run)))
end

local function execute(options, run)
  local wrong = suite.run_measured(options, command_of(run))
  if wrong then explain(options, run, wrong) end
  local report = suite.numbers_of(suite.read(options.tmp .. "/stdout"))
  if next(report) == nil then explain(options, run, "wrote no report") end
  local process = suite.numbers_of(suite.read(options.tmp .. "/measure.json"))
  report.memory, report.cpu_seconds = process.peak_sum_bytes, process.user_seconds + process.sys_seconds
  return { section = run.section.name, case = run.case.label, side = run.side.name, repetition = run.repetition, report = report,
    process = process }
end

-- The schedule

local function schedule(options)
  local runs = {}
  for _, section in ipairs(options.sections) do
    section.list = section.cases(options)
    for _, one in ipairs(section.list) do
      for repetition = 1, options.runs do
        for _, side in ipairs(suite.rotated(section.sides, repetition - 1)) do
          runs[#runs + 1] = { section = section, case = one, side = side, repetition = repetition }
        end
      end
    end
  end
  return runs
end

local function progress(options, run, done, total, began)
  suite.progress(options, ("%s: %s, repetition %d/%d, %s"):format(run.section.name, run.case.label, run.repetition, options.runs,
    run.side.name), done, total, began)
end

-- samples, and values[section][case][side][metric key] = list of numbers
local function measure_all(options)
  local samples, values, runs, began = {}, {}, schedule(options), os.time()
  local function list_at(...)
    local at = values
    for _, key in ipairs { ... } do
      at[key] = at[key] or {}
      at = at[key]
    end
    return at
  end
  for i, run in ipairs(runs) do
    progress(options, run, i - 1, #runs, began)
    local sample = execute(options, run)
    samples[i] = sample
    for key, value in pairs(sample.report) do
      local list = list_at(sample.section, sample.case, sample.side, key)
      list[#list + 1] = value
    end
  end
  suite.progress_ends(options)
  return samples, values
end

local function statistics(values)
  local stats = {}
  for section, cases in pairs(values) do
    stats[section] = {}
    for label, sides in pairs(cases) do
      stats[section][label] = {}
      for side, metrics in pairs(sides) do
        local cell = {}
        for key, list in pairs(metrics) do cell[key] = suite.spread(list) end
        stats[section][label][side] = cell
      end
    end
  end
  return stats
end

-- Tables: a cell is the median and, of more than one run, the least and the most

local function cell_text(one, spread)
  if not spread then return "" end
  local function show(value) return one.format:format(value * one.scale) end
  if spread.min == spread.max then return show(spread.median) end
  return ("%s (%s-%s)"):format(show(spread.median), show(spread.min), show(spread.max))
end

local function by_side(section, stats, one)
  local rows = { { one.title, table.unpack(map(section.sides, function(side) return side.name end)) } }
  for _, case_of in ipairs(section.list) do
    rows[#rows + 1] = { case_of.label, table.unpack(map(section.sides, function(side)
      return cell_text(one, stats[section.name][case_of.label][side.name][one.key])
    end)) }
  end
  return rows
end

local function by_metric(section, stats)
  local rows = { { "", table.unpack(map(section.metrics, function(one) return one.title end)) } }
  for _, case_of in ipairs(section.list) do
    rows[#rows + 1] = { case_of.label, table.unpack(map(section.metrics, function(one)
      return cell_text(one, stats[section.name][case_of.label][section.sides[1].name][one.key])
    end)) }
  end
  return rows
end

local function fastest(section, sides, which, peer)
  local best
  for _, side in ipairs(section.sides) do
    local spread = sides[side.name].seconds
    if (side.peer or false) == peer and (not best or spread[which] < best.seconds) then
      best = { name = side.name, seconds = spread[which], memory = sides[side.name].memory.median }
    end
  end
  return best
end

-- Throughput against libgc as it comes, and against its fastest side.
local function verdict(section, sides, which)
  local ours, theirs = fastest(section, sides, which, false), fastest(section, sides, which, true)
  local usual = sides[LIBGC.name]
  return { scalloc = ours.name, libgc = theirs.name, to_libgc = usual.seconds[which] / ours.seconds,
    to_fastest = theirs.seconds / ours.seconds, memory_to_libgc = ours.memory / usual.memory.median,
    memory_to_fastest = ours.memory / theirs.memory }
end

local function verdict_lines(section, stats)
  local lines = {}
  for _, case_of in ipairs(section.list) do
    local v, least = verdict(section, stats.trees[case_of.label], "median"), verdict(section, stats.trees[case_of.label], "min")
    lines[#lines + 1] = ("- %s: %.2f times libgc's throughput at %.2f of its memory (minima: %.2f); against %s %.2f at %.2f (%s)."):format(
      case_of.label, v.to_libgc, v.memory_to_libgc, least.to_libgc, v.libgc, v.to_fastest, v.memory_to_fastest, v.scalloc)
  end
  return table.concat(lines, "\n") .. "\n"
end

local THROUGHPUT = { ["gcbench, 1 mutator"] = 1.5, ["gcbench, 2 mutators"] = 2 } -- times libgc's

local function goals_of(section, stats)
  local lines = {}
  for _, case_of in ipairs(section.list) do
    local least = THROUGHPUT[case_of.label]
    if least then
      lines[#lines + 1] = goals.at_least(case_of.label .. ", throughput to libgc's",
        verdict(section, stats.trees[case_of.label], "median").to_libgc, least)
    end
  end
  return lines
end

local function tables(options, stats, markdown)
  local parts = {}
  for _, section in ipairs(options.sections) do
    parts[#parts + 1] = (markdown and "## " or "") .. section.title .. "\n"
    if #section.sides == 1 then
      parts[#parts + 1] = suite.render(by_metric(section, stats), markdown)
    else
      for _, one in ipairs(section.metrics) do parts[#parts + 1] = suite.render(by_side(section, stats, one), markdown) end
    end
    if section.verdict then parts[#parts + 1] = verdict_lines(section, stats) end
  end
  for _, section in ipairs(options.sections) do
    if section.verdict then parts[#parts + 1] = goals.section(goals_of(section, stats), markdown) end
  end
  return table.concat(parts, "\n")
end

-- Files

local function facts()
  local result = suite.machine()
  result.compiler, result.libgc, result.scalloc = suite.compiler(), suite.package_version("libgc-dev"), suite.scalloc_version()
  return result
end

local function facts_text(options, known)
  return table.concat({
    suite.machine_text(known),
    ("libgc: %s. scalloc: %s. Compiler: %s, Release. %s."):format(known.libgc, known.scalloc, known.compiler, known.date),
    ("%d runs of each case on each side%s; medians, in parentheses least and most."):format(options.runs,
      suite.quick_note(options)),
  }, "\n") .. "\n"
end

local function csv(options, stats)
  local lines = { "section,case,side,metric,runs,median,min,max" }
  for _, section in ipairs(options.sections) do
    for _, case_of in ipairs(section.list) do
      for _, side in ipairs(section.sides) do
        for _, one in ipairs(section.metrics) do
          local spread = stats[section.name][case_of.label][side.name][one.key]
          lines[#lines + 1] = spread and ('%s,"%s","%s",%s,%d,%.9g,%.9g,%.9g'):format(section.name, case_of.label, side.name, one.key,
            options.runs, spread.median, spread.min, spread.max)
        end
      end
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

local function summary(options, stats)
  local result = {}
  for _, section in ipairs(options.sections) do
    if section.verdict then
      for _, case_of in ipairs(section.list) do
        local sides = stats[section.name][case_of.label]
        result[case_of.label] = { medians = verdict(section, sides, "median"), minima = verdict(section, sides, "min") }
      end
    end
  end
  return result
end

local function save(options, samples, stats)
  local known = facts()
  suite.write(options.out .. "/gc.json", ('{"suite": "gc", "quick": %s, "runs": %d,\n"facts": %s,\n"summary": %s,\n"samples": %s}\n')
    :format(options.quick == 1, options.runs, suite.to_json(known), suite.to_json(summary(options, stats)), suite.to_json(samples)))
  suite.write(options.out .. "/gc.csv", csv(options, stats))
  suite.write(options.out .. "/gc.md", "# Collectors\n\nWritten by `bench/run gc`; [how it is measured](../README.md).\n\n"
    .. facts_text(options, known) .. "\n" .. tables(options, stats, true))
end

local function main(arguments)
  local options = options_of(arguments)
  suite.begin(options)
  local samples, values = measure_all(options)
  local stats = statistics(values)
  save(options, samples, stats)
  io.write(tables(options, stats, false), "\nresults: ", options.out, "/gc.{md,csv,json}\n")
end

main(arg)

-- What threads do to each other: the loads of malloc-load with the same work in all, shared by few threads and by many; the time on
-- one allocator after the other, and scalloc's own counts of atomic operations (contention/counted.h).
--
-- Started by bench/run from the repository's root, after it has checked the options, installed packages and built. Arguments are
-- KEY=VALUE; `peer=NAME=SONAME=PACKAGE` and `lib=NAME=PATH` may repeat. A repetition goes through all cases; in each the allocators
-- take turns. A run that fails or writes to stderr ends it all with exit status 1.
-- Order of this file: cases, one run, the schedule, tables, files.

package.path = "bench/?.lua;" .. package.path
local suite, allocators, compare = require "suite", require "allocators", require "compare"
local fail, map = suite.fail, suite.map

local LOAD, PRELOAD, COUNTED = "build/bin/malloc-load", "build/lib/libscalloc_preload.so", "build/lib/libscalloc_counted.so"

-- Cases. `work`: the option that says how much, of all threads together; `each`: what a thread gets of it is said, not the sum.

local LOADS = {
  { name = "threadtest", program = "threadtest", work = "rounds", much = 200 },
  { name = "shbench", program = "shbench", work = "rounds", much = 128000, each = true },
  { name = "larson", program = "larson", work = "generations", much = 1280, each = true },
  { name = "producer-consumer, 50 % remote", program = "producer_consumer", work = "cycles", much = 640, each = true,
    more = "--remote=50" },
  { name = "producer-consumer, 100 % remote", program = "producer_consumer", work = "cycles", much = 640, each = true,
    more = "--remote=100" },
  { name = "messages, symmetric", program = "symmetric", work = "messages", much = 4000000 },
  { name = "messages, asymmetric", program = "asymmetric", work = "messages", much = 4000000 },
  { name = "interpreter", program = "interpreter", work = "rounds", much = 3840, each = true },
  { name = "mixed sizes, short threads", program = "stress", work = "rounds", much = 256, each = true },
}

local function options_of(arguments)
  local options = allocators.options_of(arguments, { library = PRELOAD })
  options.threads = map(suite.words_of(tostring(options.threads), ","), tonumber)
  return options
end

local function cases_of(options)
  local cases = {}
  for _, load in ipairs(LOADS) do
    for _, threads in ipairs(options.threads) do
      local much = options.quick == 1 and load.much // 20 or load.much
      local command = { LOAD, load.program, "--threads=" .. threads,
        ("--%s=%d"):format(load.work, load.each and math.max(1, much // threads) or much) }
      if load.more then command[#command + 1] = load.more end
      cases[#cases + 1] = { load = load.name, threads = threads, name = ("%s, %d threads"):format(load.name, threads),
        command = command }
    end
  end
  return cases
end

-- One run

local function run(options, case, allocator, variables)
  local command = allocators.in_clean_environment(allocator, variables, case.command)
  local wrong = suite.run_measured(options, command)
  local report = not wrong and suite.numbers_of(suite.read(options.tmp .. "/stdout"))
  if wrong or not report.seconds or not report.operations then
    fail("%s, %s: %s\n  stderr: %s\n  again with: %s", case.name, allocator.name, wrong or "wrote no report",
      suite.last_lines(suite.read(options.tmp .. "/stderr"), 10), suite.shell(command))
  end
  return report
end

local function count(options, case)
  local path = options.tmp .. "/counts.json"
  local report = run(options, case, { name = "scalloc with counters", library = COUNTED }, { "SCALLOC_COUNTS=" .. path })
  local counts = suite.numbers_of(suite.read(path))
  counts.blocks = report.operations
  return counts
end

-- The schedule: counts[case], and cells[case][allocator] = { seconds = spread }

local function measure_all(options, cases)
  local counts, cells, done, began = {}, {}, 0, os.time()
  local total = #cases * (1 + options.runs * #options.allocators)
  local function step(what)
    suite.progress(options, what, done, total, began)
    done = done + 1
  end
  for _, case in ipairs(cases) do
    step(case.name .. ", counted")
    counts[case.name], cells[case.name] = count(options, case), {}
  end
  for repetition = 1, options.runs do
    for _, case in ipairs(cases) do
      for _, allocator in ipairs(suite.rotated(options.allocators, repetition - 1)) do
        step(("%s, repetition %d/%d, %s"):format(case.name, repetition, options.runs, allocator.name))
        local list = cells[case.name][allocator.name] or {}
        cells[case.name][allocator.name] = list
        list[repetition] = run(options, case, allocator, {}).seconds
      end
    end
  end
  suite.progress_ends(options)
  for _, of_case in pairs(cells) do
    for name, list in pairs(of_case) do of_case[name] = { seconds = suite.spread(list) } end
  end
  return counts, cells
end

-- Tables

local function sum_of(counts, kind)
  local sum = 0
  for _, place in ipairs { "span", "pool", "lock", "other" } do sum = sum + counts[place .. "_" .. kind] end
  return sum
end

local function count_rows(cases, counts)
  local rows = { { "for 1,000 blocks", "span words", "pool", "locks", "other", "lost of 1,000", "turns of waiting", "slow paths",
    "spans taken", "from the own stack" } }
  for _, case in ipairs(cases) do
    local c = counts[case.name]
    local function per_thousand(n) return ("%.3g"):format(1000 * n / c.blocks) end
    rows[#rows + 1] = { case.name, per_thousand(c.span_locked), per_thousand(c.pool_locked), per_thousand(c.lock_locked),
      per_thousand(c.other_locked), ("%.3g"):format(1000 * sum_of(c, "lost") / math.max(1, sum_of(c, "locked"))),
      per_thousand(c.waits), per_thousand(c.refills), per_thousand(c.takes),
      c.takes > 0 and ("%.0f %%"):format(100 * (1 - c.steals / c.takes)) or "-" }
  end
  return rows
end

-- How an allocator's time with the most threads compares with its time with the fewest: geometric mean and worst load.
local function crowding(options, cases, cells, allocator)
  local first, last = options.threads[1], options.threads[#options.threads]
  local sum, n, worst, where = 0, 0, 0, ""
  for _, case in ipairs(cases) do
    if case.threads == last then
      local few = cells[("%s, %d threads"):format(case.load, first)][allocator].seconds.median
      local ratio = cells[case.name][allocator].seconds.median / few
      sum, n = sum + math.log(ratio), n + 1
      if ratio > worst then worst, where = ratio, case.load end
    end
  end
  return math.exp(sum / n), worst, where
end

local function crowding_rows(options, cases, cells)
  local rows = { { "", "geometric mean", "worst", "of" } }
  for _, allocator in ipairs(options.allocators) do
    local mean, worst, where = crowding(options, cases, cells, allocator.name)
    rows[#rows + 1] = { allocator.name, ("%.2f"):format(mean), ("%.2f"):format(worst), where }
  end
  return rows
end

local function crowding_line(options, cases, cells)
  local mean, worst, where = crowding(options, cases, cells, allocators.OURS)
  return ("Crowding: scalloc with %d threads takes %.2f of its time with %d for the same work, at worst %.2f (%s).\n"):format(
    options.threads[#options.threads], mean, options.threads[1], worst, where)
end

local function verdict(cases, counts)
  local most, where, lost, locked = 0, "", 0, 0
  for _, case in ipairs(cases) do
    local c = counts[case.name]
    local ratio = sum_of(c, "locked") / c.blocks
    if ratio > most then most, where = ratio, case.name end
    lost, locked = lost + sum_of(c, "lost"), locked + sum_of(c, "locked")
  end
  return ("Contention: scalloc makes at most %.2f atomic read-modify-writes for a block (%s); of all, another thread spoils "
    .. "%.2g in 1,000.\n"):format(most, where, 1000 * lost / math.max(1, locked))
end

local function tables(options, cases, counts, cells, markdown)
  local heading = markdown and "## " or ""
  local first, last = options.threads[1], options.threads[#options.threads]
  local names = map(cases, function(case) return case.name end)
  local c = { allocators = options.allocators, rows = names, row_title = "load", cells = cells }
  return table.concat({
    heading .. "Counts\n\nAtomic read-modify-writes of scalloc by the words they act on, and what else happens, for 1,000 blocks "
      .. "allocated (and freed). Lost: compare-and-swaps that another thread was faster than. Only blocks that another thread "
      .. "frees, or the owner of a span that is shared and not hot, need one each; a thread that has never allocated counts its "
      .. "frees by another.\n", suite.render(count_rows(cases, counts), markdown), verdict(cases, counts),
    heading .. "Time\n\nThe same work shared by more and more threads: median seconds (ratio to glibc)\n",
    suite.render(compare.value_rows(c, "seconds", function(seconds) return ("%.3f"):format(seconds) end), markdown),
    heading .. "Crowding\n",
    ("Time with %d threads as a ratio to the allocator's own with %d, for the same work:\n"):format(last, first),
    suite.render(crowding_rows(options, cases, cells), markdown),
    crowding_line(options, cases, cells),
  }, "\n")
end

-- Files

local function csv(options, cases, counts, cells)
  local lines = { suite.CSV_HEAD:format("allocator") }
  for _, case in ipairs(cases) do
    local counted = counts[case.name]
    for _, key in ipairs(suite.sorted_keys(counted)) do
      lines[#lines + 1] = suite.csv_line(case.name, allocators.OURS, key, 1, suite.spread { counted[key] })
    end
    for _, allocator in ipairs(options.allocators) do
      local seconds = cells[case.name][allocator.name].seconds
      lines[#lines + 1] = suite.csv_line(case.name, allocator.name, "seconds", options.runs, seconds)
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

local function save(options, cases, counts, cells)
  local known = allocators.facts(options)
  local json = '{"suite": "contention", "quick": %s, "runs": %d,\n"facts": %s,\n"counts": %s,\n"times": %s}\n'
  suite.write(options.out .. "/contention.json", json:format(options.quick == 1, options.runs, suite.to_json(known),
    suite.to_json(counts), suite.to_json(cells)))
  suite.write(options.out .. "/contention.csv", csv(options, cases, counts, cells))
  suite.write(options.out .. "/contention.md", table.concat({
    "# Contention\n\nWritten by `bench/run contention`; [how it is measured](../README.md).\n",
    suite.machine_text(known), ("Compiler: %s, Release. %s."):format(known.compiler, known.date),
    ("%d runs of each load on each allocator%s; counts of one run."):format(options.runs,
      suite.quick_note(options)) .. allocators.versions_text(options, known),
    tables(options, cases, counts, cells, true) }, "\n"))
end

local function main(arguments)
  local options = options_of(arguments)
  allocators.begin(options, LOAD)
  local cases = cases_of(options)
  local counts, cells = measure_all(options, cases)
  save(options, cases, counts, cells)
  io.write(tables(options, cases, counts, cells, false), "\nresults: ", options.out, "/contention.{md,csv,json}\n")
end

main(arg)

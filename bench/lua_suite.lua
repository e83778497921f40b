-- The Lua benchmark: the programs of examples/scripts in one host, on one allocator after the other.
--
-- Started by bench/run from the repository's root, after it has checked the options, installed packages and built. Arguments
-- are KEY=VALUE; `peer=NAME=SONAME=PACKAGE` and `lib=NAME=PATH` may repeat. For each script and GC mode the allocators take
-- turns, one run each, and every repetition starts with another one, so that what drifts on the machine drifts for all.
-- A result is refused, with exit status 1, when a run fails or writes to stderr, when outputs differ between allocators, or
-- when a preloaded library is not what the host's calls of realloc and free are bound to.
-- Order of this file: allocators and their check, one run, the whole schedule, statistics, tables, files.

local HOST, MEASURE, SCRIPTS = "build/bin/lua-host", "build/bin/measure", "examples/scripts/"
local REFERENCE, OURS = "glibc", "scalloc"
local LONGEST_RUN_SECONDS = 600
local MIB = 1024 * 1024

-- Small tools: suite.lua

package.path = "bench/?.lua;" .. package.path
local suite = require "suite"
local fail, read, write, shell, output_of = suite.fail, suite.read, suite.write, suite.shell, suite.output_of
local base_name, map, words_of, numbers_of, to_json = suite.base_name, suite.map, suite.words_of, suite.numbers_of, suite.to_json
local last_lines, rotated, spread, render, check_build = suite.last_lines, suite.rotated, suite.spread, suite.render, suite.check_build
local package_version, compiler, scalloc_version = suite.package_version, suite.compiler, suite.scalloc_version

-- Options and allocators

local function all_scripts()
  return map(words_of(output_of("ls " .. SCRIPTS), "\n"), function(name) return name:match("^(.*)%.lua$") end)
end

local function gc_modes(choice) return choice == "both" and { "incremental", "generational" } or { choice } end

-- An allocator: its name, what lua-host is told, and the library that is preloaded, if any.
local function options_of(arguments)
  local options, allocators = {}, { { name = REFERENCE, host = "libc", package = "libc6" } }
  for _, argument in ipairs(arguments) do
    local key, value = argument:match("^(%w+)=(.*)$")
    local name, library = value:match("^([^=]+)=(.*)$")
    if key == "peer" then
      local soname, package = library:match("^(.*)=(.*)$")
      allocators[#allocators + 1] = { name = name, host = "libc", library = soname, package = package }
    elseif key == "lib" then
      allocators[#allocators + 1] = { name = name, host = "libc", library = library }
    else
      options[key] = math.tointeger(tonumber(value)) or value
    end
  end
  allocators[#allocators + 1] = { name = OURS, host = OURS }
  options.allocators, options.gc = allocators, gc_modes(options.gc)
  options.scripts = options.only ~= "" and words_of(options.only, ",") or all_scripts()
  return options
end

-- `env -i` leaves nothing of the caller's environment to any side: no tuning variable, no LUA_INIT.
local function in_clean_environment(allocator, variables, command)
  local words = { "env", "-i", "PATH=/usr/bin:/bin", table.unpack(variables) }
  if allocator.library then words[#words + 1] = "LD_PRELOAD=" .. allocator.library end
  return table.move(command, 1, #command, #words + 1, words)
end

-- What the dynamic linker binds the calls of realloc and free in the host and in liblua to, without running the host.
local function bindings_of(allocator)
  local tracing = { "LD_TRACE_LOADED_OBJECTS=1", "LD_WARN=yes", "LD_BIND_NOW=1", "LD_DEBUG=bindings" }
  local trace = output_of(shell(in_clean_environment(allocator, tracing, { HOST })), "&1")
  local bound = {}
  for from, to, symbol in trace:gmatch("binding file (%S+) %[%d+%] to (%S+) %[%d+%]: normal symbol `([%w_]+)'") do
    local caller = base_name(from)
    if (caller == base_name(HOST) or caller:find("^liblua5%.4")) and (symbol == "realloc" or symbol == "free") then
      bound[#bound + 1] = { symbol = symbol, library = base_name(to) }
    end
  end
  return bound, trace:match("ERROR: ld.so:[^\n]*")
end

-- A preload that cannot be found is only a line on stderr to ld.so, and one that lacks realloc is no line at all.
local function check_binding(allocator)
  local expected = base_name(allocator.library or "libc.so.6")
  local bound, complaint = bindings_of(allocator)
  if complaint then fail("%s cannot be preloaded: %s", allocator.name, complaint) end
  if #bound == 0 then fail("%s: the dynamic linker shows no call of realloc and free in %s", allocator.name, HOST) end
  for _, one in ipairs(bound) do
    if one.library ~= expected then
      fail("%s does not take effect: the host's %s is bound to %s, not %s", allocator.name, one.symbol, one.library, expected)
    end
  end
end

-- One run

local function host_command(options, run)
  local command = { HOST, "--alloc=" .. run.allocator.host, "--gc=" .. run.gc, "--report=" .. options.tmp .. "/report.json",
    SCRIPTS .. run.script .. ".lua", tostring(options.scale) }
  return in_clean_environment(run.allocator, {}, command)
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
  local limit, host = tostring(LONGEST_RUN_SECONDS), host_command(options, run)
  local command = { "timeout", "--foreground", limit, MEASURE, "--json=" .. options.tmp .. "/measure.json", "--" }
  table.move(host, 1, #host, #command + 1, command)
  os.remove(options.tmp .. "/report.json")
  local _, how, status = os.execute(("%s </dev/null >%s 2>%s"):format(shell(command), shell { options.tmp .. "/stdout" },
    shell { options.tmp .. "/stderr" }))
  if how == "signal" or status == 128 + 2 then os.exit(128 + 2) end -- interrupted
  if status == 124 then explain(options, run, ("still running after %d seconds"):format(LONGEST_RUN_SECONDS)) end
  if status > 128 then explain(options, run, "ended by signal " .. status - 128) end
  if status ~= 0 then explain(options, run, "exit status " .. status) end
  if read(options.tmp .. "/stderr") ~= "" then explain(options, run, "wrote to stderr") end
  check_output(options, run, expected)
  return sample_of(options, run)
end

-- The schedule

local function schedule(options)
  local runs = {}
  for number, script in ipairs(options.scripts) do
    for _, gc in ipairs(options.gc) do
      for repetition = 1, options.runs do
        for _, allocator in ipairs(rotated(options.allocators, repetition - 1)) do
          runs[#runs + 1] = { script = script, number = number, gc = gc, repetition = repetition, allocator = allocator }
        end
      end
    end
  end
  return runs
end

-- On a terminal one line that changes, elsewhere a line for each run.
local function progress(options, run, done, total, began)
  local left = done > 0 and (" about %d s left"):format((os.time() - began) * (total - done) // done) or ""
  io.stderr:write(options.terminal and "\r\27[K" or "", ("script %d/%d %s, %s, repetition %d/%d, %s (%d of %d runs)%s"):format(
    run.number, #options.scripts, run.script, run.gc, run.repetition, options.runs, run.allocator.name, done + 1, total, left),
    options.terminal and "" or "\n")
end

local function measure_all(options)
  local samples, expected, runs, began = {}, {}, schedule(options), os.time()
  for i, run in ipairs(runs) do
    progress(options, run, i - 1, #runs, began)
    samples[i] = execute(options, run, expected)
  end
  if options.terminal then io.stderr:write("\r\27[K") end
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

-- stats[gc][script][allocator name] = spreads of total, run, close and memory
local function statistics(options, samples)
  local stats = {}
  for _, gc in ipairs(options.gc) do
    stats[gc] = {}
    for _, script in ipairs(options.scripts) do
      local row = {}
      for _, allocator in ipairs(options.allocators) do
        local mine, cell = select_samples(samples, gc, script, allocator.name), {}
        for _, key in ipairs { "total", "run", "close", "memory" } do
          cell[key] = spread(map(mine, function(sample) return sample[key] end))
        end
        row[allocator.name] = cell
      end
      stats[gc][script] = row
    end
  end
  return stats
end

local function ratio(row, name, key, which) return row[name][key][which] / row[REFERENCE][key][which] end

local function geometric_mean(options, of_gc, name, key, which)
  local sum = 0
  for _, script in ipairs(options.scripts) do sum = sum + math.log(ratio(of_gc[script], name, key, which)) end
  return math.exp(sum / #options.scripts)
end

-- The peers are the preloaded libraries, except variants of scalloc given with --lib; glibc stands in where there are none.
local function peers_of(options)
  local result = {}
  for _, allocator in ipairs(options.allocators) do
    if allocator.library and not allocator.name:find("^" .. OURS) then result[#result + 1] = allocator.name end
  end
  return #result > 0 and result or { REFERENCE }
end

local function lowest(names, value_of)
  local best
  for _, name in ipairs(names) do
    if not best or value_of(name) < value_of(best) then best = name end
  end
  return best
end

-- Where scalloc comes out worst against the best of these allocators on the same script.
local function worst_against(names, options, of_gc, key, which)
  local worst = { ratio = 0 }
  for _, script in ipairs(options.scripts) do
    local row = of_gc[script]
    local best = lowest(names, function(name) return row[name][key][which] end)
    local against = row[OURS][key][which] / row[best][key][which]
    if against > worst.ratio then worst = { ratio = against, script = script, peer = best } end
  end
  return worst
end

local function verdict(options, of_gc, key, which)
  local function mean(name) return geometric_mean(options, of_gc, name, key, which) end
  local peers = peers_of(options)
  local best = lowest(peers, mean)
  return { to_reference = mean(OURS), to_best_peer = mean(OURS) / mean(best), best_peer = best,
    worst_to_best_peer = worst_against(peers, options, of_gc, key, which),
    worst_to_reference = worst_against({ REFERENCE }, options, of_gc, key, which) }
end

local function verdict_line(options, of_gc, what, key, which)
  local v = verdict(options, of_gc, key, which)
  local peer, reference = v.worst_to_best_peer, v.worst_to_reference
  local means = ("scalloc's geometric mean is %.3f of glibc's and %.3f of the best peer's (%s)."):format(v.to_reference,
    v.to_best_peer, v.best_peer)
  local extremes = ("Worst single ratio: %.3f to the best peer of a script (%s, %s), %.3f to glibc (%s)."):format(peer.ratio,
    peer.script, peer.peer, reference.ratio, reference.script)
  return ("%s: %s %s"):format(what, means, extremes)
end

-- Tables: lists of rows of text, the header first

local function value_rows(options, of_gc, key, show)
  local rows = { { "script", table.unpack(map(options.allocators, function(allocator) return allocator.name end)) } }
  for _, script in ipairs(options.scripts) do
    rows[#rows + 1] = { script, table.unpack(map(options.allocators, function(allocator)
      local text = show(of_gc[script][allocator.name][key].median)
      if allocator.name == REFERENCE then return text end
      return ("%s (%.2f)"):format(text, ratio(of_gc[script], allocator.name, key, "median"))
    end)) }
  end
  return rows
end

local function mean_row(options, of_gc, title, key, which)
  return { title, table.unpack(map(options.allocators, function(allocator)
    return ("%.3f"):format(geometric_mean(options, of_gc, allocator.name, key, which))
  end)) }
end

local function time_rows(options, of_gc)
  local rows = value_rows(options, of_gc, "total", function(seconds) return ("%.3f"):format(seconds) end)
  rows[#rows + 1] = mean_row(options, of_gc, "geometric mean, medians", "total", "median")
  rows[#rows + 1] = mean_row(options, of_gc, "geometric mean, minima", "total", "min")
  return rows
end

local function memory_rows(options, of_gc)
  local rows = value_rows(options, of_gc, "memory", function(bytes) return ("%.1f"):format(bytes / MIB) end)
  rows[#rows + 1] = mean_row(options, of_gc, "geometric mean", "memory", "median")
  return rows
end

local function tables(options, stats, markdown)
  local parts, heading = {}, markdown and "## " or ""
  for _, gc in ipairs(options.gc) do
    local of_gc = stats[gc]
    parts[#parts + 1] = ("%s%s GC\n\nTime: median seconds of run + close (ratio to glibc)\n"):format(heading,
      gc:sub(1, 1):upper() .. gc:sub(2))
    parts[#parts + 1] = render(time_rows(options, of_gc), markdown)
    parts[#parts + 1] = "Peak memory: median MiB of RSS + page tables (ratio to glibc)\n"
    parts[#parts + 1] = render(memory_rows(options, of_gc), markdown)
    parts[#parts + 1] = verdict_line(options, of_gc, "Time, medians", "total", "median") .. "\n"
    parts[#parts + 1] = verdict_line(options, of_gc, "Time, minima", "total", "min") .. "\n"
    parts[#parts + 1] = verdict_line(options, of_gc, "Peak memory", "memory", "median") .. "\n"
    if markdown then parts[#parts + 1] = ("![%s GC, geometric means](lua-%s.svg)\n"):format(gc, gc) end
  end
  return table.concat(parts, "\n")
end

-- Facts

local function version_of(allocator)
  if allocator.name == OURS then return scalloc_version() end
  if allocator.package then return package_version(allocator.package) end
  return ("%s, sha256 %s"):format(base_name(allocator.library), output_of(shell { "sha256sum", allocator.library }):sub(1, 16))
end

local function facts(options)
  local result = suite.machine()
  result.compiler, result.lua, result.versions = compiler(), package_version("liblua5.4-dev"), {}
  for _, allocator in ipairs(options.allocators) do result.versions[allocator.name] = version_of(allocator) end
  return result
end

local function facts_text(options, known)
  local lines = {
    ("%s, %d cores, %d MiB, %s, transparent huge pages: %s."):format(known.processor, known.cores, known.memory_mib,
      known.kernel, known.huge_pages),
    ("Lua: %s. Compiler: %s, Release. %s."):format(known.lua, known.compiler, known.date),
    ("%d scripts at scale %d, %d runs of each on each allocator%s.\n"):format(#options.scripts, options.scale, options.runs,
      options.quick == 1 and " (quick: too little to judge by)" or ""),
  }
  for _, allocator in ipairs(options.allocators) do
    lines[#lines + 1] = ("- %s: %s"):format(allocator.name, known.versions[allocator.name])
  end
  return table.concat(lines, "\n") .. "\n"
end

-- Plots

local PLOT = { width = 720, right = 70, bar = 20, step = 28, head = 84, gap = 46 }

local function xml(text) return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" })) end

local function text_at(x, y, attributes, text)
  return ('<text x="%.1f" y="%.1f" %s>%s</text>'):format(x, y, attributes, xml(text))
end

-- Names stand left of the bars, which begin at `left`; values stand in a column of their own, clear of the line at 1.
local function bar(item, left, y, scale)
  local color = item.name == OURS and "#c2410c" or item.name == REFERENCE and "#475569" or "#94a3b8"
  local weight = item.name == OURS and ' font-weight="bold"' or ""
  return table.concat({
    text_at(left - 8, y + 15, 'text-anchor="end"' .. weight, item.name),
    ('<rect x="%d" y="%.1f" width="%.1f" height="%d" rx="2" fill="%s"/>'):format(left, y, item.value * scale, PLOT.bar, color),
    text_at(PLOT.width - 16, y + 15, 'text-anchor="end"' .. weight, ("%.3f"):format(item.value)),
  }, "\n")
end

local function panel(items, title, left, y)
  local top, largest = y + 14, 1
  for _, item in ipairs(items) do largest = math.max(largest, item.value) end
  local scale, parts = (PLOT.width - left - PLOT.right) / largest, { text_at(left, y, 'font-weight="bold"', title) }
  for i, item in ipairs(items) do parts[#parts + 1] = bar(item, left, top + (i - 1) * PLOT.step, scale) end
  parts[#parts + 1] = ('<path d="M%.1f %.1fV%.1f" stroke="#111827" stroke-dasharray="4 3"/>'):format(left + scale, top - 4,
    top + #items * PLOT.step)
  return table.concat(parts, "\n")
end

-- From the smallest value up.
local function means(options, of_gc, key)
  local items = map(options.allocators, function(allocator)
    return { name = allocator.name, value = geometric_mean(options, of_gc, allocator.name, key, "median") }
  end)
  table.sort(items, function(a, b) return a.value < b.value end)
  return items
end

local function plot(options, of_gc, gc)
  local count, left = #options.allocators, 0
  for _, allocator in ipairs(options.allocators) do left = math.max(left, 32 + 9 * #allocator.name) end
  local second = PLOT.head + count * PLOT.step + PLOT.gap
  local height = second + 14 + count * PLOT.step + 12
  local title = ("Lua programs, %s GC"):format(gc)
  return table.concat({
    ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d"'):format(PLOT.width, height,
      PLOT.width, height) .. ' role="img" font-family="sans-serif" font-size="13" fill="#111827">',
    "<title>" .. xml(title) .. "</title>",
    '<rect width="100%" height="100%" fill="#ffffff"/>',
    text_at(16, 26, 'font-size="16" font-weight="bold"', title),
    text_at(16, 46, "", ("Geometric means over %d scripts, relative to glibc (dashed line). Less is better."):format(
      #options.scripts)),
    panel(means(options, of_gc, "total"), "Time, run + close", left, PLOT.head),
    panel(means(options, of_gc, "memory"), "Peak memory, RSS + page tables", left, second),
    "</svg>\n",
  }, "\n")
end

-- Files

local function csv(options, stats)
  local lines = { "script,gc,allocator,runs,total_median_s,total_min_s,total_max_s,run_median_s,run_min_s,run_max_s,"
    .. "close_median_s,close_min_s,close_max_s,peak_memory_median_bytes" }
  for _, script in ipairs(options.scripts) do
    for _, gc in ipairs(options.gc) do
      for _, allocator in ipairs(options.allocators) do
        local cell, fields = stats[gc][script][allocator.name], { script, gc, allocator.name, options.runs }
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
    summary[gc] = { time_medians = verdict(options, stats[gc], "total", "median"),
      time_minima = verdict(options, stats[gc], "total", "min"), memory = verdict(options, stats[gc], "memory", "median") }
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
  for _, gc in ipairs(options.gc) do write(("%s/lua-%s.svg"):format(options.out, gc), plot(options, stats[gc], gc)) end
end

local function main(arguments)
  local options = options_of(arguments)
  options.terminal = os.execute("test -t 2") == true
  check_build()
  for _, allocator in ipairs(options.allocators) do check_binding(allocator) end
  local samples = measure_all(options)
  local stats = statistics(options, samples)
  save(options, samples, stats)
  io.write(tables(options, stats, false), "\nresults: ", options.out, "/lua.{md,csv,json}\n")
end

main(arg)

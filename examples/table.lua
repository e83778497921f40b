-- Makes the table at the end of examples/run out of lua-host's reports.
-- Usage: lua-host table.lua FOLDER RUNS GC SCRIPT...; the reports are FOLDER/SCRIPT.ALLOCATOR.RUN.json.

local folder, runs, gc = arg[1], math.tointeger(tonumber(arg[2])), arg[3]
local kinds = { "hot", "floating", "reusable", "pooled", "large" }

local function read_report(script, allocator, run)
  local file = assert(io.open(("%s/%s.%s.%d.json"):format(folder, script, allocator, run)))
  local text = file:read("a")
  file:close()
  local function number(key) return tonumber(text:match('"' .. key .. '"%s*:%s*([%d.eE+-]+)')) end
  local report = { seconds = number("run_seconds"), close = number("close_seconds") * 1e3, spans = {} }
  report.memory = (math.max(number("peak_rss_bytes"), number("closed_peak_rss_bytes")) +
    math.max(number("page_table_bytes"), number("closed_page_table_bytes"))) / 1e6
  local spans = text:match('"spans"%s*:%s*(%b{})') or ""
  for i, kind in ipairs(kinds) do report.spans[i] = spans:match('"' .. kind .. '"%s*:%s*(%d+)') or "-" end
  return report
end

local function sorted(list, key)
  local values = {}
  for i, each in ipairs(list) do values[i] = each[key] end
  table.sort(values)
  return values
end

local function median(list, key)
  local values = sorted(list, key)
  return (values[(#values + 1) // 2] + values[#values // 2 + 1]) / 2
end

-- The ten numbers of a script, in the order of the columns, and the spans at the end of its last run.
local function measure(script)
  local libc, scalloc = {}, {}
  for run = 1, runs do
    libc[run], scalloc[run] = read_report(script, "libc", run), read_report(script, "scalloc", run)
  end
  local numbers = {}
  local function add(a, b)
    numbers[#numbers + 1] = a
    numbers[#numbers + 1] = b
  end
  local function add_pair(key)
    local a, b = median(libc, key), median(scalloc, key)
    add(a, b)
    numbers[#numbers + 1] = b / a
  end
  add_pair("seconds")
  numbers[#numbers + 1] = sorted(scalloc, "seconds")[1] / sorted(libc, "seconds")[1]
  add_pair("memory")
  add(median(libc, "close"), median(scalloc, "close"))
  return numbers, scalloc[runs].spans
end

local numbers_format = "%-16s %6.2f %7.2f %6.2f %6.2f  %6.1f %7.1f %6.2f  %6.2f %7.2f"
local spans_format = "  %4s %8s %8s %6s %5s"

local function print_row(name, numbers, spans)
  print((numbers_format:format(name, table.unpack(numbers)) .. spans_format:format(table.unpack(spans))):match("^(.-)%s*$"))
end

print(("%-16s %28s  %21s  %14s  %35s"):format("", "seconds", "peak memory, MB", "close, ms", "spans of scalloc at the end"))
print(("%-16s %6s %7s %6s %6s  %6s %7s %6s  %6s %7s"):format("script", "libc", "scalloc", "ratio", "of min", "libc", "scalloc",
  "ratio", "libc", "scalloc") .. spans_format:format(table.unpack(kinds)))

local logarithms, count = {}, #arg - 3
for i = 4, #arg do
  local numbers, spans = measure(arg[i])
  print_row(arg[i], numbers, spans)
  for column, value in ipairs(numbers) do logarithms[column] = (logarithms[column] or 0) + math.log(value) / count end
end
local means = {}
for column, value in ipairs(logarithms) do means[column] = math.exp(value) end
print_row("geometric mean", means, { "", "", "", "", "" })

print(([[

%s collector; medians of %d run%s by turns, the same output from both. Ratio: scalloc / libc, below 1 scalloc takes less;
"of min": of the fastest runs. Peak memory: resident memory and page tables. Close: lua_close and scalloc_lua_close.]]):format(
  gc, runs, runs == 1 and "" or "s"))

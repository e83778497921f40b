-- What the benchmark suites share: files and commands, JSON, statistics, tables, facts about machine and versions. Used from the
-- repository's root.

local suite = { LONGEST_RUN_SECONDS = 600 }

function suite.fail(message, ...)
  io.stderr:write("\nbench/run: ", message:format(...), "\n")
  os.exit(1)
end

function suite.read(path)
  local file, why = io.open(path, "rb")
  if not file then suite.fail("%s", why) end
  local text = file:read("a")
  file:close()
  return text
end

function suite.write(path, text)
  local file, why = io.open(path, "wb")
  if not file then suite.fail("%s", why) end
  file:write(text)
  local ok, full = file:close()
  if not ok then suite.fail("%s: %s", path, full) end
end

function suite.shell(words)
  local quoted = {}
  for i, word in ipairs(words) do
    quoted[i] = word:find("^[%w_./=,:%-]+$") and word or "'" .. word:gsub("'", "'\\''") .. "'"
  end
  return table.concat(quoted, " ")
end

function suite.output_of(command, errors_to)
  local pipe <close> = assert(io.popen(("%s 2>%s"):format(command, errors_to or "/dev/null")))
  return (pipe:read("a"):gsub("%s+$", ""))
end

function suite.base_name(path) return path:match("[^/]*$") end

function suite.map(list, f)
  local result = {}
  for i, item in ipairs(list) do result[i] = f(item) end
  return result
end

function suite.words_of(text, separator)
  local result = {}
  for word in text:gmatch("[^" .. separator .. "]+") do result[#result + 1] = word end
  return result
end

-- KEY=VALUE arguments; whole numbers as such.
function suite.settings_of(arguments)
  local settings = {}
  for _, argument in ipairs(arguments) do
    local key, value = argument:match("^(%w+)=(.*)$")
    settings[key] = math.tointeger(tonumber(value)) or value
  end
  return settings
end

-- The numbers of a flat JSON object.
function suite.numbers_of(json)
  local result = {}
  for key, value in json:gmatch('"([%w_]+)"%s*:%s*(%-?[%d.][%d.eE+-]*)') do result[key] = tonumber(value) end
  return result
end

local function json_string(text)
  return '"' .. text:gsub('[%c"\\]', function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
end

-- Arrays are written one item a line where the items are tables; the keys of an object are sorted.
function suite.to_json(value)
  if type(value) == "string" then return json_string(value) end
  if math.type(value) == "float" then return ("%.9g"):format(value) end
  if type(value) ~= "table" then return tostring(value) end
  if #value > 0 or next(value) == nil then
    local separator = type(value[1]) == "table" and ",\n" or ", "
    return "[" .. table.concat(suite.map(value, suite.to_json), separator) .. "]"
  end
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys)
  local members = suite.map(keys, function(key) return json_string(key) .. ": " .. suite.to_json(value[key]) end)
  return "{" .. table.concat(members, ", ") .. "}"
end

function suite.last_lines(text, count)
  local lines = suite.words_of(text, "\n")
  return table.concat(lines, "\n  ", math.max(1, #lines - count + 1))
end

function suite.rotated(list, by)
  local result = {}
  for i = 1, #list do result[i] = list[(i - 1 + by) % #list + 1] end
  return result
end

function suite.sorted_keys(values)
  local keys = {}
  for key in pairs(values) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

function suite.spread(values)
  table.sort(values)
  local n = #values
  return { min = values[1], max = values[n], median = (values[(n + 1) // 2] + values[n // 2 + 1]) / 2 }
end

local function widths_of(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for column, text in ipairs(row) do widths[column] = math.max(widths[column] or 3, #text) end
  end
  return widths
end

-- A line of a CSV file: a figure of a side in a case, and its spread.
suite.CSV_HEAD = "case,%s,figure,runs,median,min,max"
function suite.csv_line(case, side, figure, runs, spread)
  return ('"%s",%s,%s,%d,%.9g,%.9g,%.9g'):format(case, side, figure, runs, spread.median, spread.min, spread.max)
end

-- Aligned text; with `markdown` the same as a Markdown table.
function suite.render(rows, markdown)
  local widths, lines = widths_of(rows), {}
  local function line(row)
    local cells = {}
    for column, text in ipairs(row) do
      local space = (" "):rep(widths[column] - #text)
      cells[column] = column == 1 and text .. space or space .. text
    end
    return markdown and "| " .. table.concat(cells, " | ") .. " |" or table.concat(cells, "  ")
  end
  for i, row in ipairs(rows) do
    lines[#lines + 1] = line(row)
    if i == 1 then
      local rules = suite.map(widths, function(width) return ("-"):rep(width - 1) .. ":" end)
      rules[1] = ("-"):rep(widths[1])
      lines[#lines + 1] = markdown and line(rules) or nil
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

-- Runs a command under build/bin/measure, its output to options.tmp; returns what is wrong with the run, or nil.
function suite.run_measured(options, command)
  local words = { "timeout", "--foreground", tostring(suite.LONGEST_RUN_SECONDS), "build/bin/measure",
    "--json=" .. options.tmp .. "/measure.json", "--" }
  table.move(command, 1, #command, #words + 1, words)
  local _, how, status = os.execute(("%s </dev/null >%s 2>%s"):format(suite.shell(words), suite.shell { options.tmp .. "/stdout" },
    suite.shell { options.tmp .. "/stderr" }))
  if how == "signal" or status == 128 + 2 then os.exit(128 + 2) end -- interrupted
  if status == 124 then return ("still running after %d seconds"):format(suite.LONGEST_RUN_SECONDS) end
  if status > 128 then return "ended by signal " .. status - 128 end
  if status ~= 0 then return "exit status " .. status end
  if suite.read(options.tmp .. "/stderr") ~= "" then return "wrote to stderr" end
end

-- On a terminal one line that changes, elsewhere a line for each run.
function suite.progress(options, what, done, total, began)
  local left = done > 0 and (" about %d s left"):format((os.time() - began) * (total - done) // done) or ""
  io.stderr:write(options.terminal and "\r\27[K" or "", ("%s (%d of %d runs)%s"):format(what, done + 1, total, left),
    options.terminal and "" or "\n")
end

function suite.progress_ends(options)
  if options.terminal then io.stderr:write("\r\27[K") end
end

-- Facts about the machine and the versions; nothing that names the machine or a path on it

function suite.package_version(package)
  local version = suite.output_of(suite.shell { "dpkg-query", "-W", "-f", "${Version}\\n", package }):match("^[^\n]*")
  return version ~= "" and ("%s %s"):format(package, version) or package
end

function suite.compiler()
  local path = suite.read("build/CMakeCache.txt"):match("CMAKE_C_COMPILER:%w+=([^\n]*)")
  return path and suite.output_of(suite.shell { path, "--version" }):match("^[^\n]*") or "unknown"
end

function suite.scalloc_version()
  local version = suite.read("CMakeLists.txt"):match("project%(scalloc VERSION ([%d.]+)") or "unknown"
  local commit = suite.output_of("git rev-parse --short HEAD")
  if commit == "" then return version end
  local changed = suite.output_of("git --no-optional-locks status --porcelain -- . ':!bench/results'")
  return ("%s, commit %s%s"):format(version, commit, changed ~= "" and " with changes" or "")
end

function suite.machine()
  local processor = suite.read("/proc/cpuinfo"):match("model name%s*:%s*([^\n]*)")
  local huge = io.open("/sys/kernel/mm/transparent_hugepage/enabled")
  local result = { date = os.date("!%Y-%m-%d"), processor = processor or "unknown", kernel = suite.output_of("uname -srm"),
    cores = tonumber(suite.output_of("nproc")),
    memory_mib = tonumber(suite.read("/proc/meminfo"):match("MemTotal:%s*(%d+)")) // 1024,
    huge_pages = huge and huge:read("a"):match("%[(%w+)%]") or "unknown" }
  if huge then huge:close() end
  return result
end

function suite.machine_text(known)
  return ("%s, %d cores, %d MiB, %s, transparent huge pages: %s."):format(known.processor, known.cores, known.memory_mib,
    known.kernel, known.huge_pages)
end

-- A measurement is worth nothing on a build with assertions or sanitizers, which build/ may have been left with.
local function check_build()
  local cache = suite.read("build/CMakeCache.txt")
  if cache:find("SCALLOC_SANITIZE:%w+=%S") or cache:find("SCALLOC_ASSERTS:%w+=ON") then
    suite.fail("build/ is configured with SCALLOC_SANITIZE or SCALLOC_ASSERTS; remove it, or configure it without them")
  end
end

-- Before the first run.
function suite.begin(options)
  options.terminal = os.execute("test -t 2") == true
  check_build()
end

-- Behind the number of runs.
function suite.quick_note(options) return options.quick == 1 and " (quick: too little to judge by)" or "" end

return suite

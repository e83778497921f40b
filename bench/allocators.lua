-- The allocators of a comparison: glibc, the libraries that are preloaded, and scalloc; each runs in a clean environment, and a
-- preload counts only once the dynamic linker has shown that it takes effect.

local suite = require "suite"
local fail, output_of, shell, base_name = suite.fail, suite.output_of, suite.shell, suite.base_name

local allocators = { REFERENCE = "glibc", OURS = "scalloc" }

-- KEY=VALUE arguments to options, and `peer=NAME=SONAME=PACKAGE` and `lib=NAME=PATH`, which may repeat, to allocators. `ours` is
-- scalloc's entry.
function allocators.options_of(arguments, ours)
  local options, list = {}, { { name = allocators.REFERENCE, package = "libc6" } }
  for _, argument in ipairs(arguments) do
    local key, value = argument:match("^(%w+)=(.*)$")
    local name, library = value:match("^([^=]+)=(.*)$")
    if key == "peer" then
      local soname, package = library:match("^(.*)=(.*)$")
      list[#list + 1] = { name = name, library = soname, package = package }
    elseif key == "lib" then
      list[#list + 1] = { name = name, library = library }
    else
      options[key] = math.tointeger(tonumber(value)) or value
    end
  end
  ours.name = allocators.OURS
  list[#list + 1] = ours
  options.allocators = list
  return options
end

-- `env -i` leaves nothing of the caller's environment to any side: no tuning variable, no LUA_INIT.
function allocators.in_clean_environment(allocator, variables, command)
  local words = { "env", "-i", "PATH=/usr/bin:/bin", table.unpack(variables) }
  if allocator.library then words[#words + 1] = "LD_PRELOAD=" .. allocator.library end
  return table.move(command, 1, #command, #words + 1, words)
end

-- What the dynamic linker binds the calls of realloc and free in the host and in liblua to, without running the host.
local function bindings_of(allocator, host)
  local tracing = { "LD_TRACE_LOADED_OBJECTS=1", "LD_WARN=yes", "LD_BIND_NOW=1", "LD_DEBUG=bindings" }
  local trace = output_of(shell(allocators.in_clean_environment(allocator, tracing, { host })), "&1")
  local bound = {}
  for from, to, symbol in trace:gmatch("binding file (%S+) %[%d+%] to (%S+) %[%d+%]: normal symbol `([%w_]+)'") do
    local caller = base_name(from)
    if (caller == base_name(host) or caller:find("^liblua5%.4")) and (symbol == "realloc" or symbol == "free") then
      bound[#bound + 1] = { symbol = symbol, library = base_name(to) }
    end
  end
  return bound, trace:match("ERROR: ld.so:[^\n]*")
end

-- A preload that cannot be found is only a line on stderr to ld.so, and one that lacks realloc is no line at all.
local function check_binding(allocator, host)
  local expected = base_name(allocator.library or "libc.so.6")
  local bound, complaint = bindings_of(allocator, host)
  if complaint then fail("%s cannot be preloaded: %s", allocator.name, complaint) end
  if #bound == 0 then fail("%s: the dynamic linker shows no call of realloc and free in %s", allocator.name, host) end
  for _, one in ipairs(bound) do
    if one.library ~= expected then
      fail("%s does not take effect: the host's %s is bound to %s, not %s", allocator.name, one.symbol, one.library, expected)
    end
  end
end

-- Before the first run of a program on all of them.
function allocators.begin(options, program)
  suite.begin(options)
  for _, allocator in ipairs(options.allocators) do check_binding(allocator, program) end
end

local function version_of(allocator)
  if allocator.version then return allocator.version end
  if allocator.name == allocators.OURS then return suite.scalloc_version() end
  if allocator.package then return suite.package_version(allocator.package) end
  return ("%s, sha256 %s"):format(base_name(allocator.library), output_of(shell { "sha256sum", allocator.library }):sub(1, 16))
end

-- The machine, the compiler and the version of each allocator.
function allocators.facts(options)
  local result = suite.machine()
  result.compiler, result.versions = suite.compiler(), {}
  for _, allocator in ipairs(options.allocators) do result.versions[allocator.name] = version_of(allocator) end
  return result
end

function allocators.versions_text(options, known)
  local lines = { "\n" }
  for _, allocator in ipairs(options.allocators) do
    lines[#lines + 1] = ("- %s: %s"):format(allocator.name, known.versions[allocator.name])
  end
  return table.concat(lines, "\n") .. "\n"
end

return allocators

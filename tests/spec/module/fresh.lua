--- Scripts in an interpreter of their own, of the kind that runs the specs, on a heap that notes types and births.
--
-- For specs in every Lua from 5.1 on. The interpreter is SCALLOC_LUA.

local fresh = {}

local interpreter = os.getenv "SCALLOC_LUA" or "build/bin/scalloc-lua"
local is_ours = interpreter:find "scalloc%-lua"

local function quote(text) return "'" .. text:gsub("'", [['\'']]) .. "'" end

--- Runs a script; returns its standard output and error in one. `plain`: on a heap without types.
function fresh.run(script, plain)
  local options = ""
  if not is_ours then
    options = "-e " .. quote(("assert(require 'scalloc'.attach { stats = %s })"):format(tostring(not plain)))
  elseif not plain then
    options = "--mem-types"
  end
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(script)
  file:close()
  local pipe = assert(io.popen(("%s %s %s 2>&1"):format(quote(interpreter), options, name)))
  local output = pipe:read "*a"
  pipe:close()
  os.remove(name)
  return (output:gsub("/tmp/lua_%w+", "script"))
end

return fresh

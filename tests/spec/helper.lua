--- What several specs need: the programs under test, a folder to run them in, and running them.
--
-- Specs say `local helper = require "tests.spec.helper"`; they run from the root of the repository. The interpreter under
-- test is the path in the environment variable SCALLOC_LUA, or build/bin/scalloc-lua.

local lfs = require "lfs"

local helper = {}

local function absolute(path)
  return path:sub(1, 1) == "/" and path or lfs.currentdir() .. "/" .. path
end

--- The interpreter under test.
helper.interpreter = absolute(os.getenv "SCALLOC_LUA" or "build/bin/scalloc-lua")

--- `text` as one word of a shell command.
function helper.quote(text)
  return "'" .. text:gsub("'", [['\'']]) .. "'"
end

--- The standard output of a shell command without its last newline.
function helper.output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "a"
  pipe:close()
  return (text:gsub("\n$", ""))
end

--- The path of an installed program, or nil.
function helper.find_program(name)
  local path = helper.output_of("command -v " .. helper.quote(name))
  return path ~= "" and path or nil
end

function helper.read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

function helper.write_file(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

--- A new folder with the given files (name -> text) in it. The caller ends it with remove_folder.
function helper.new_folder(files)
  local folder = helper.output_of "mktemp -d"
  assert(folder ~= "", "mktemp gave no folder")
  for name, text in pairs(files or {}) do helper.write_file(folder .. "/" .. name, text) end
  return folder
end

function helper.remove_folder(folder)
  assert(os.execute("rm -rf " .. helper.quote(folder)))
end

--- Makes `name` in `folder` another name of `program`, so that different programs can be run under one name.
function helper.link_program(program, folder, name)
  assert(lfs.attributes(program, "mode") == "file", "there is no program " .. program)
  assert(lfs.mkdir(folder))
  assert(lfs.link(program, folder .. "/" .. name, true))
end

--- Runs a shell command in `folder` and returns { stdout, stderr, how = "exit"|"signal", code }.
-- `with` may hold: stdin (text; else it is empty), environment (name -> value; false removes), path (searched first).
function helper.run(folder, command, with)
  with = with or {}
  local scratch <close> = setmetatable({ path = helper.new_folder { stdin = with.stdin or "" } }, {
    __close = function(self) helper.remove_folder(self.path) end,
  })
  local setup = { "cd " .. helper.quote(folder) }
  for name, value in pairs(with.environment or {}) do
    setup[#setup + 1] = value and ("export %s=%s"):format(name, helper.quote(value)) or "unset " .. name
  end
  if with.path then setup[#setup + 1] = ("PATH=%s:$PATH"):format(helper.quote(with.path)) end
  setup[#setup + 1] = ("exec <%s/stdin >%s/stdout 2>%s/stderr"):format(scratch.path, scratch.path, scratch.path)
  local _, how, code = os.execute(table.concat(setup, "; ") .. "; " .. command)
  return {
    stdout = helper.read_file(scratch.path .. "/stdout"),
    stderr = helper.read_file(scratch.path .. "/stderr"),
    how = how,
    code = code,
  }
end

return helper

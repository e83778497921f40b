-- What a state may leave behind for its close to finish. Each case is run in a state of its own, which is then closed in every
-- way; note(...) writes down what happens, and all closes must give the same notes. Nothing here depends on addresses, on time or
-- on when the collector runs by itself: it is stopped, and runs where a case says so.

local note, path, seed = note, path, seed
collectgarbage "stop"

-- Makes a finalizer: a text to note, or a function.
local function on_gc(object, action)
  return setmetatable(object, { __gc = function(self)
    if type(action) == "string" then note(action) else action(self) end
  end })
end

local cases = {}

function cases.nothing() end

function cases.newest_first()
  kept = {}
  for i = 1, 100 do kept[i] = on_gc({}, "object " .. i) end
end

function cases.others_are_still_there()
  kept = {}
  for i = 1, 50 do
    kept[i] = on_gc({ name = "k" .. i, inner = { i } }, function(self)
      note(self.name, kept[51 - i].name, kept[51 - i].inner[1], #string.rep(self.name, i))
    end)
  end
end

function cases.errors()
  warn "@on"
  kept = {}
  for i = 1, 20 do
    kept[i] = on_gc({}, function()
      note("finalizer " .. i)
      if i % 3 == 0 then error("text " .. i) end
      if i % 3 == 1 then error({ i }) end
      if i == 14 then error(setmetatable({}, { __tostring = function() return "an object" end })) end
    end)
  end
end

function cases.deep_errors()
  warn "@on"
  local function deep(n) if n == 0 then error "at the bottom" end return 1 + deep(n - 1) end
  kept = {}
  for i = 1, 10 do kept[i] = on_gc({}, function() note("deep " .. i) deep(20 * i) end) end
end

function cases.endless_recursion()
  warn "@on"
  local function deeper() return 1 + deeper() end
  kept = { on_gc({}, "before"), on_gc({}, deeper), on_gc({}, "after") }
end

function cases.allocation()
  kept = {}
  for i = 1, 10 do
    kept[i] = on_gc({}, function()
      local t = {}
      for j = 1, 5000 do t[j] = { tostring(j) } end
      for j = 1, 5000, 2 do t[j] = nil end
      collectgarbage()
      note(i, #table.concat({ i, #t > 0, ("x"):rep(100000) }, ",", 1, 1), load("return " .. i)())
    end)
  end
end

function cases.large_blocks_in_finalizers()
  kept = on_gc({}, function()
    local s = ("y"):rep(3000000)
    for _ = 1, 5 do s = s .. s:sub(1, 1000000) end
    note(#s)
  end)
end

function cases.resurrection()
  kept = {}
  for i = 1, 10 do
    local meta = {}
    meta.__gc = function(self)
      note("dies " .. i, self.lives)
      self.lives = self.lives - 1
      saved = self
      if self.lives > 0 then setmetatable(self, meta) end
    end
    kept[i] = setmetatable({ lives = i % 4 }, meta)
  end
  kept[3] = nil
  collectgarbage()
  collectgarbage()
end

function cases.new_objects_in_finalizers()
  kept = {}
  for i = 1, 10 do
    kept[i] = on_gc({}, function()
      note("old " .. i)
      on_gc({}, "new " .. i)
    end)
  end
end

function cases.coroutines()
  kept = {}
  for i = 1, 10 do
    local co = coroutine.create(function()
      local guard <close> = setmetatable({}, { __close = function() note("closed in coroutine " .. i) end })
      local object = on_gc({}, "object of coroutine " .. i)
      coroutine.yield(object, guard)
      note("never")
    end)
    coroutine.resume(co)
    kept[i] = co
    if i % 3 == 0 then coroutine.close(co) end
  end
  kept[11] = on_gc({}, function()
    local results = {}
    for value in coroutine.wrap(function() for i = 1, 5 do coroutine.yield(i) end end) do results[#results + 1] = value end
    note(table.concat(results, " "))
    note(coroutine.close(kept[1]), select(2, coroutine.resume(coroutine.create(error), "in a coroutine")))
  end)
end

function cases.files()
  files = {}
  for i = 1, 8 do
    files[i] = assert(io.open(path .. i, "w"))
    files[i]:setvbuf("full", 65536)
    files[i]:write(("line " .. i .. "\n"):rep(100 * i))
  end
  files[3]:close()
  files[4] = nil
  kept = on_gc({}, function() files[5]:write("added by a finalizer\n") end)
  reader = io.lines(path .. 3)
  reader()
  pipe = io.popen("cat > " .. path .. "pipe", "w")
  pipe:write "through a pipe\n"
  io.output(path .. "default")
  io.write "to the default file"
end

function cases.pending()
  kept = on_gc({}, "finalizer")
  local function guard(name) return setmetatable({}, { __close = function(_, problem)
    note("closing " .. name, problem)
    on_gc({}, "made while closing " .. name)
    if name == "b" then error("from b", 0) end
  end }) end
  return guard "a", guard "b", guard "c" -- the host makes them to be closed
end

function cases.weak()
  weak = setmetatable({}, { __mode = "kv" })
  kept = {}
  for i = 1, 10 do
    local key = { i }
    weak[key] = i
    kept[i] = on_gc({ key = key }, function(self) note(i, weak[self.key]) end)
  end
  kept[4] = nil
  collectgarbage()
end

function cases.userdata()
  kept = {}
  for i = 1, 20 do kept[i] = object(i) end
  kept[7] = nil
  collectgarbage()
end

function cases.other_states()
  kept = {}
  for i = 1, 4 do kept[i] = on_gc({}, function() note("outer " .. i) note(other_state(i)) note "and on" end) end
end

function cases.generational()
  collectgarbage "generational"
  kept = {}
  for i = 1, 300 do
    kept[i % 40 + 1] = on_gc({}, "object " .. i)
    if i % 50 == 0 then collectgarbage "step" end
  end
end

function cases.metatable_changes()
  local meta = { __gc = function(self) note("first", self[1]) end }
  kept = {}
  for i = 1, 6 do kept[i] = setmetatable({ i }, meta) end
  meta.__gc = function(self) note("second", self[1]) end
  setmetatable(kept[2], nil)
  setmetatable(kept[3], { __gc = function() note "third" end })
  setmetatable(kept[4], { __gc = true })
  late = setmetatable({}, { __gc = false })
  getmetatable(late).__gc = function() note "late" end
end

-- Reaches for the registry, as only the debug library can: the fast way may be lost, nothing else.
function cases.registry_without_metatable()
  kept = { on_gc({}, "one"), on_gc({}, "two") }
  debug.setmetatable(debug.getregistry(), nil)
  collectgarbage()
end

function cases.metatable_of_the_registry_for_others()
  local meta = debug.getmetatable(debug.getregistry())
  local function frees() local t = {} for i = 1, 10 do t["k" .. i] = i end note "freed" end
  kept = { on_gc({}, frees), on_gc({}, frees), meta and setmetatable({}, meta), on_gc({}, frees),
           setmetatable({}, { __gc = meta and meta.__gc }) }
end

function cases.finalizer_of_the_registry_called()
  kept = {}
  for i = 1, 5 do
    kept[i] = on_gc({}, function()
      note("finalizer " .. i)
      local registry = debug.getregistry()
      if registry.__gc then registry:__gc() end
      local t = {}
      for j = 1, 100 do t[j] = {} end
      note(i)
      if i % 2 == 0 then error "behind it" end
    end)
  end
end

-- Any mixture of all this.
function cases.random()
  warn "@on"
  math.randomseed(seed)
  local random = math.random
  local count = 0
  kept = {}
  local actions
  local function make()
    count = count + 1
    local id, action = count, actions[random(#actions)]
    local shape = random(3)
    if shape == 1 then return object(1000 + id) end
    local t = on_gc({ id = id }, function(self) note("gc", id) action(self) end)
    if shape == 2 then t.friend = kept[random(60)] end
    return t
  end
  actions = {
    function() end,
    function() end,
    function(self) kept[random(60)] = self end,
    function(self) error("finalizer " .. self.id, random(0, 2)) end,
    function() for _ = 1, random(20) do kept[random(60)] = { ("z"):rep(random(2000)) } end end,
    function() if count < 3000 then kept[random(60)] = make() end end,
    function() collectgarbage() end,
    function(self) note(#tostring(self.friend and self.friend.id)) end,
    function() note(select("#", table.unpack({}, 1, random(200)))) end,
    function() local s = ("w"):rep(random(200000)) kept[random(60)] = s end,
    function(self)
      local co = coroutine.wrap(function() kept[random(60)] = coroutine.yield(self) error "in a coroutine" end)
      co()
      if random(2) == 1 then co(self) end
    end,
  }
  for _ = 1, random(50, 400) do
    kept[random(60)] = random(4) == 1 and { random() } or make()
    if random(40) == 1 then collectgarbage() end
    if random(60) == 1 then collectgarbage(random(2) == 1 and "generational" or "incremental") end
  end
end

-- Ways out of the program, each in a process of its own: what they print and return must be the same, too.

local exits = {}
local function say(...) print(...) end

function exits.from_the_script()
  kept = on_gc({}, function() say "finalizer" end)
  io.write "not yet flushed\n"
  os.exit(3, true)
end

function exits.from_a_finalizer()
  kept = {}
  for i = 1, 5 do kept[i] = on_gc({}, function() say("finalizer " .. i) if i == 3 then os.exit(7, true) end end) end
end

function exits.from_two_finalizers()
  kept = {}
  for i = 1, 6 do kept[i] = on_gc({}, function() say("finalizer " .. i) if i % 2 == 0 then os.exit(10 + i, true) end end) end
end

function exits.from_a_deep_finalizer()
  local function deep(n) if n == 0 then os.exit(true, true) end return 1 + deep(n - 1) end
  kept = { on_gc({}, function() say "last" end), on_gc({}, function() deep(150) end), on_gc({}, function() say "first" end) }
end

function exits.from_a_collection()
  for i = 1, 5 do on_gc({}, function() say("dead " .. i) if i == 3 then os.exit(8, true) end end) end
  kept = on_gc({}, function() say "alive" end)
  collectgarbage()
end

function exits.from_a_collection_and_a_finalizer()
  for i = 1, 5 do on_gc({}, function() say("dead " .. i) if i == 3 then os.exit(8, true) end end) end
  kept = on_gc({}, function() say "alive" os.exit(9, true) end)
  collectgarbage()
end

function exits.from_a_pending_variable()
  kept = on_gc({}, function() say "finalizer" end)
  local first <close> = setmetatable({}, { __close = function() say "first" end })
  local second <close> = setmetatable({}, { __close = function() say "second" os.exit(5, true) end })
  error "leaves the block"
end

function exits.from_a_coroutine()
  kept = on_gc({}, function() say "finalizer" end)
  coroutine.wrap(function()
    local guard <close> = setmetatable({}, { __close = function() say "of the coroutine" end })
    os.exit(6, true)
  end)()
end

function exits.from_a_coroutine_in_a_finalizer()
  kept = { on_gc({}, function() say "last" end), on_gc({}, function() coroutine.wrap(function() os.exit(4, true) end)() end) }
end

function exits.without_close()
  kept = on_gc({}, function() say "finalizer" os.exit(2) end)
end

function exits.with_an_error()
  warn "@on"
  kept = on_gc({}, function() error "in a finalizer" end)
  error { }
end

return { cases = cases, exits = exits }

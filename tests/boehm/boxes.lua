-- Boxes in all the places where Lua keeps values. A box is a userdata that holds an object of libgc; boxes.check(b) fails if the
-- object is not what it was.
local seed, work = ...
math.randomseed(seed)
local random = math.random

-- A tree whose leaves are boxes, as closures' upvalues and as keys.
local function tree(depth)
  if depth == 0 then
    local box = boxes.new()
    return { [box] = true, get = function() return box end }
  end
  return { tree(depth - 1), tree(depth - 1) }
end

local function walk(node)
  if node.get then
    assert(node[node.get()])
    boxes.check(node.get())
    return 1
  end
  return walk(node[1]) + walk(node[2])
end

-- Boxes that live on the stacks of coroutines.
local function producer(count)
  return coroutine.wrap(function()
    local first = boxes.new()
    for _ = 1, count do
      local box = boxes.new()
      coroutine.yield(box)
      boxes.check(box)
      boxes.check(first)
    end
  end)
end

-- A cache that forgets, its entries the only holders.
local cache, order = {}, {}
local function cached(name)
  local entry = cache[name]
  if not entry then
    entry = { box = boxes.new(), text = name:rep(random(40)) }
    cache[name] = entry
    order[#order + 1] = name
    if #order > 100 then cache[table.remove(order, 1)] = nil end
  end
  boxes.check(entry.box)
  return entry
end

local weak = setmetatable({}, { __mode = "v" })

for round = 1, work do
  local kept = tree(6)
  assert(walk(kept) == 64)
  for box in producer(20) do boxes.check(box) end
  for _ = 1, 50 do
    local a, b = cached("a" .. random(150)), cached("b" .. random(150))
    boxes.swap(a.box, b.box)
    boxes.replace(a.box)
  end
  for i = 1, 20 do weak[i] = boxes.new() end
  local ok, message = pcall(function()
    local box <close> = setmetatable({ boxes.new() }, { __close = function(held) boxes.check(held[1]) end })
    error("round " .. round)
  end)
  assert(not ok and message:find("round"))
  if round % 5 == 0 then collectgarbage() end
  if round % 7 == 0 then boxes.collect() end
  for _, box in pairs(weak) do boxes.check(box) end
  assert(walk(kept) == 64)
end
for _, entry in pairs(cache) do boxes.check(entry.box) end
cache, order, weak = nil, nil, nil
collectgarbage()
collectgarbage()

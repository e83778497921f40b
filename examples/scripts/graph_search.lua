-- graph_search: shortest ways over a road map, by breadth, by Dijkstra's algorithm and by A*.
--
-- Shape: the map itself (nodes, edge lists, names) is made once and stays, about 10 MB of tables. Every query makes thousands
-- of search records (56 + 192 bytes), a binary heap in an array that doubles to 64 kB and more, closed sets as hashes, and a
-- path; all of it is dead when the answer is there. Lifetimes come in waves of one query each. Peak about 23 MB.

local scale = math.max(1, math.tointeger(tonumber(arg and arg[1])) or 100) -- percent

local state = 2645751311
local function random(n)
  state = state * 6364136223846793005 + 1442695040888963407
  return (state >> 33) % n
end

-- A binary heap of records, smallest cost first; equal costs are ordered by node number.
local Heap = {}
Heap.__index = Heap

local function before(a, b)
  if a.total ~= b.total then return a.total < b.total end
  return a.node.id < b.node.id
end

function Heap.new() return setmetatable({ size = 0 }, Heap) end

function Heap:push(record)
  local at = self.size + 1
  self.size = at
  while at > 1 and before(record, self[at // 2]) do
    self[at] = self[at // 2]
    at = at // 2
  end
  self[at] = record
end

function Heap:pop()
  local top, last, size = self[1], self[self.size], self.size - 1
  self[self.size] = nil
  self.size = size
  if size == 0 then return top end
  local at = 1
  while true do
    local child = 2 * at
    if child > size then break end
    if child < size and before(self[child + 1], self[child]) then child = child + 1 end
    if not before(self[child], last) then break end
    self[at] = self[child]
    at = child
  end
  self[at] = last
  return top
end

-- The map: a grid of towns with missing roads, one-way roads, and some long motorways.
local width, height = 110, 90

local function connect(from, to, length) from.edges[#from.edges + 1] = { to = to, length = length } end

local function make_map()
  local nodes = {}
  for y = 0, height - 1 do
    for x = 0, width - 1 do
      local id = y * width + x + 1
      nodes[id] = { id = id, x = x, y = y, name = ("town %d/%d"):format(x, y), edges = {} }
    end
  end
  for _, node in ipairs(nodes) do
    local right = node.x < width - 1 and nodes[node.id + 1]
    local down = nodes[node.id + width]
    for _, other in ipairs({ right or down, down or right }) do
      local length = 10 + random(20)
      if random(8) > 0 then connect(node, other, length) end
      if random(8) > 0 then connect(other, node, length) end
    end
  end
  for _ = 1, 60 do
    local from, to = nodes[1 + random(#nodes)], nodes[1 + random(#nodes)]
    local length = 8 * (math.abs(from.x - to.x) + math.abs(from.y - to.y)) + 10
    connect(from, to, length)
    connect(to, from, length)
  end
  return nodes
end

local function path_to(record)
  local path = {}
  while record do
    table.insert(path, 1, record.node.name)
    record = record.parent
  end
  return table.concat(path, " > ")
end

-- Dijkstra with `guess` = nil, A* with a guess that never says too much.
local function shortest(from, to, guess)
  local best, closed, open = {}, {}, Heap.new()
  local record = { node = from, cost = 0, total = guess and guess(from, to) or 0, parent = nil }
  best[from] = record
  open:push(record)
  local visited = 0
  while open.size > 0 do
    local here = open:pop()
    local node = here.node
    if not closed[node] then
      closed[node] = true
      visited = visited + 1
      if node == to then return here.cost, visited, path_to(here) end
      for _, edge in ipairs(node.edges) do
        local next_node, cost = edge.to, here.cost + edge.length
        local known = best[next_node]
        if not closed[next_node] and (not known or cost < known.cost) then
          local reached = { node = next_node, cost = cost, total = cost + (guess and guess(next_node, to) or 0), parent = here }
          best[next_node] = reached
          open:push(reached)
        end
      end
    end
  end
  return -1, visited, "no way"
end

local function breadth_first(from, limit)
  local depth, layer, seen, found = 0, { from }, { [from.id] = true }, 1
  while #layer > 0 and depth < limit do
    local following = {}
    for _, node in ipairs(layer) do
      for _, edge in ipairs(node.edges) do
        local id = edge.to.id
        if not seen[id] then
          seen[id] = true
          found = found + 1
          following[#following + 1] = edge.to
        end
      end
    end
    layer, depth = following, depth + 1
  end
  return found
end

local function manhattan(a, b) return 8 * (math.abs(a.x - b.x) + math.abs(a.y - b.y)) end

local nodes = make_map()
local sum, visited_plain, visited_guided = 1, 0, 0
local queries = math.max(1, scale * 2 // 5)
for _ = 1, queries do
  local from, to = nodes[1 + random(#nodes)], nodes[1 + random(#nodes)]
  local cost, plain, path = shortest(from, to)
  local same_cost, guided = shortest(from, to, manhattan)
  assert(cost == same_cost, "A* and Dijkstra disagree")
  visited_plain, visited_guided = visited_plain + plain, visited_guided + guided
  sum = (sum * 31 + cost * #path) & 0xffffffff
  sum = (sum * 31 + breadth_first(from, 8 + random(60))) & 0xffffffff
end
print(("graph_search: %d queries on %d towns, visited %d and %d, checksum %08x"):format(queries, #nodes, visited_plain,
  visited_guided, sum))

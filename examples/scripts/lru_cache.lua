-- lru_cache: a cache of rendered thumbnails with a byte budget, least-recently-used eviction and expiry.
--
-- Shape: a steady state. Values are strings from 30 bytes to 8 kB that live until they are evicted, in an order that has
-- nothing to do with their sizes or with when they were made, which is what fragments a heap. Beside them doubly linked nodes
-- (56 + 192 bytes), one big hash that is always nearly full, and short-lived keys. Peak about 33 MB.

local scale = math.max(1, math.tointeger(tonumber(arg and arg[1])) or 100) -- percent

local state = 1414213562
local function random(n)
  state = state * 6364136223846793005 + 1442695040888963407
  return (state >> 33) % n
end

local Cache = {}
Cache.__index = Cache

function Cache.new(budget)
  local head = {}
  head.older, head.newer = head, head
  return setmetatable({ budget = budget, bytes = 0, count = 0, head = head, entries = {}, hits = 0, misses = 0, evicted = 0,
    expired = 0 }, Cache)
end

local function unlink(node) node.older.newer, node.newer.older = node.newer, node.older end

function Cache:push(node)
  local head = self.head
  node.newer, node.older = head, head.older
  head.older.newer = node
  head.older = node
end

function Cache:drop(node)
  unlink(node)
  self.entries[node.key] = nil
  self.bytes = self.bytes - #node.value
  self.count = self.count - 1
end

function Cache:get(key, now)
  local node = self.entries[key]
  if node and node.expires <= now then
    self:drop(node)
    self.expired = self.expired + 1
    node = nil
  end
  if not node then
    self.misses = self.misses + 1
    return nil
  end
  self.hits = self.hits + 1
  node.uses = node.uses + 1
  unlink(node)
  self:push(node)
  return node.value
end

function Cache:put(key, value, expires)
  local node = self.entries[key]
  if node then self:drop(node) end
  node = { key = key, value = value, expires = expires, uses = 0 }
  self.entries[key] = node
  self:push(node)
  self.bytes = self.bytes + #value
  self.count = self.count + 1
  while self.bytes > self.budget do
    self:drop(self.head.newer)
    self.evicted = self.evicted + 1
  end
end

-- Pictures are asked for by name and width; few are popular, most are hardly ever seen.
local function popular(n)
  local a = random(n)
  return a * random(n) // n * random(n) // n
end

local widths = { 16, 32, 64, 128, 256 }
local function render(name, width)
  local row = {}
  for x = 1, width // 2 do row[x] = string.char(33 + (x * #name + width + name:byte(-1)) % 90) end
  local line = table.concat(row)
  return name .. ":" .. line:rep(1 + random(width // 4))
end

local cache = Cache.new(10 * 1024 * 1024)
local sum = 5
for now = 1, 900 * scale do
  local name = ("picture-%d.png"):format(popular(60000))
  local width = widths[1 + random(#widths)]
  local key = name .. "@" .. width
  local value = cache:get(key, now)
  if not value then
    value = render(name, width)
    cache:put(key, value, now + 2000 + random(100000))
  end
  sum = (sum * 31 + #value + value:byte(-1)) & 0xffffffff
end

local newest, steps = cache.head.older, 0
while newest ~= cache.head do
  sum = (sum * 31 + newest.uses) & 0xffffffff
  newest, steps = newest.older, steps + 1
end
assert(steps == cache.count)
print(("lru_cache: %d entries, %d hits, %d misses, %d evicted, %d expired, checksum %08x"):format(cache.count, cache.hits,
  cache.misses, cache.evicted, cache.expired, sum))

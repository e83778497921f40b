-- coroutines: generators, a pipeline of filters, and a scheduler with thousands of tasks that exchange messages.
--
-- Shape: threads (208 bytes) with stacks that start at 720 bytes and double with the depth of their calls, so blocks of 720,
-- 1360, 2640, 5200 bytes come and go among 40- to 64-byte closures and messages. Some coroutines finish, some are dropped
-- half-way, some are closed with pending <close> variables. Peak about 35 MB.

local scale = math.max(1, math.tointeger(tonumber(arg and arg[1])) or 100) -- percent

local state = 161803398
local function random(n)
  state = state * 6364136223846793005 + 1442695040888963407
  return (state >> 33) % n
end

local sum = 1
local function mix(value) sum = (sum * 31 + value) & 0xffffffff end

-- Generators.
local function permutations(items)
  local function permute(n)
    if n <= 1 then
      coroutine.yield(items)
    else
      for i = 1, n do
        items[n], items[i] = items[i], items[n]
        permute(n - 1)
        items[n], items[i] = items[i], items[n]
      end
    end
  end
  return coroutine.wrap(function() permute(#items) end)
end

local function walk(tree)
  return coroutine.wrap(function()
    local function visit(node)
      if node then
        visit(node.left)
        coroutine.yield(node.value)
        visit(node.right)
      end
    end
    visit(tree)
  end)
end

local function search_tree(size)
  local root
  for _ = 1, size do
    local value, node = random(100000), root
    if not root then root = { value = value } end
    while node do
      local side = value < node.value and "left" or "right"
      if not node[side] then
        node[side] = { value = value }
        break
      end
      node = node[side]
    end
  end
  return root
end

-- Two trees have the same fringe if their walks agree; the walk that is longer is left hanging.
local function same_fringe(a, b)
  local next_a, next_b = walk(a), walk(b)
  while true do
    local x, y = next_a(), next_b()
    if x ~= y then return false, x or -1 end
    if x == nil then return true, 0 end
  end
end

-- A sieve of Eratosthenes in which every prime found adds a filter to the pipeline.
local function sieve(limit)
  local function source()
    for n = 2, limit do coroutine.yield(n) end
  end
  local function strain(prime, input)
    return coroutine.wrap(function()
      for n in input do
        if n % prime ~= 0 then coroutine.yield(n) end
      end
    end)
  end
  local input, found = coroutine.wrap(source), 0
  while true do
    local prime = input()
    if not prime then return found end
    found = found + 1
    input = strain(prime, input)
  end
end

-- The scheduler: tasks run round robin, sleep, send one another messages, and use frames of different depth.
local function countdown(depth, text)
  if depth == 0 then return coroutine.yield(text) end
  local reply = countdown(depth - 1, text .. depth % 10)
  return reply and reply .. "." or ""
end

local released = 0
local function scheduler(total)
  local ready, mailbox, alive, started = {}, {}, 0, 0
  local function spawn()
    started, alive = started + 1, alive + 1
    local id = started
    ready[#ready + 1] = { id = id, thread = coroutine.create(function()
      local guard <close> = setmetatable({}, { __close = function() released = released + 1 end })
      for turn = 1, 1 + random(6) do
        local reply = countdown(random(14) * random(5), "task " .. id)
        local target = 1 + random(started)
        mailbox[target] = { from = id, text = reply, next = mailbox[target] }
        if turn == 4 and random(4) == 0 then coroutine.yield(nil, guard) end
      end
    end) }
  end
  while started < total or alive > 0 do
    for _ = 1, math.min(12, total - started) do spawn() end
    local later = {}
    for _, task in ipairs(ready) do
      local message = mailbox[task.id]
      mailbox[task.id] = message and message.next
      local ok, text, guard = coroutine.resume(task.thread, message and message.text:sub(-30) or "none")
      assert(ok, text)
      if guard then coroutine.close(task.thread) end
      if coroutine.status(task.thread) == "dead" then
        alive = alive - 1
        mailbox[task.id] = nil
      else
        mix(#text)
        later[#later + 1] = task
      end
    end
    ready = later
  end
  return started
end

for order in permutations({ 1, 2, 3, 4, 5, 6, 7 }) do mix(order[1] * 7 + order[7]) end
local tasks = scheduler(250 * scale)
for round = 1, 1 + scale // 10 do mix(sieve(250 + round)) end
local twins = 0
for _ = 1, 12 * scale do
  local before = state
  local left = search_tree(60)
  if random(3) > 0 then state = before end
  local same, where = same_fringe(left, search_tree(60))
  if same then twins = twins + 1 end
  mix(where)
end
print(("coroutines: %d tasks, %d guards released, %d equal trees, checksum %08x"):format(tasks, released, twins, sum))

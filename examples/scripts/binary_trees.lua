-- binary_trees: complete binary trees built and dropped, beside a treap that lives, grows and loses nodes.
--
-- Shape: almost nothing but small tables. Leaves are empty tables (56 bytes), inner nodes carry a two-slot array or a
-- four-slot node vector. Whole trees die together, so the sweep frees long runs of equal blocks; one big tree and the treap
-- stay alive in between and keep spans from becoming empty. Peak about 40 MB, mostly long-lived.

local scale = math.max(1, math.tointeger(tonumber(arg and arg[1])) or 100) -- percent

local state = 20240229
local function random(n)
  state = state * 6364136223846793005 + 1442695040888963407
  return (state >> 33) % n
end

local function build(depth)
  if depth == 0 then return {} end
  return { build(depth - 1), build(depth - 1) }
end

local function count(tree)
  local left = tree[1]
  if not left then return 1 end
  return 1 + count(left) + count(tree[2])
end

-- A treap: a search tree by key that is a heap by priority; rotations keep it balanced on average.
local function insert(node, key)
  if not node then return { key = key, priority = random(1 << 30), left = false, right = false } end
  if key < node.key then
    local child = insert(node.left, key)
    node.left = child
    if child.priority > node.priority then
      node.left, child.right = child.right, node
      return child
    end
  elseif key > node.key then
    local child = insert(node.right, key)
    node.right = child
    if child.priority > node.priority then
      node.right, child.left = child.left, node
      return child
    end
  end
  return node
end

local function merge(left, right)
  if not left then return right end
  if not right then return left end
  if left.priority > right.priority then
    left.right = merge(left.right, right)
    return left
  end
  right.left = merge(left, right.left)
  return right
end

local function remove(node, key)
  if not node then return false end
  if key == node.key then return merge(node.left, node.right) end
  if key < node.key then
    node.left = remove(node.left, key)
  else
    node.right = remove(node.right, key)
  end
  return node
end

local function digest(node, sum)
  if not node then return sum end
  sum = digest(node.left, sum)
  sum = (sum * 31 + node.key) & 0xffffffff
  return digest(node.right, sum)
end

local long_lived = build(16)
local treap, nodes = false, 0
local rounds = 9 * scale

for round = 1, rounds do
  for depth = 4, 8, 2 do
    for _ = 1, 1 << (8 - depth) do nodes = nodes + count(build(depth)) end
  end
  if round % 25 == 0 then nodes = nodes + count(build(13)) end
  for _ = 1, 80 do treap = insert(treap, random(100000)) end
  for _ = 1, 40 do treap = remove(treap, random(100000)) end
end

print(("binary_trees: %d rounds, %d nodes visited, %d long-lived, treap %08x"):format(rounds, nodes, count(long_lived),
  digest(treap, 7)))

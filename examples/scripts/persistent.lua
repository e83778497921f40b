-- persistent: an editor's undo history on immutable maps, trees and lists; every change copies the path to the root.
--
-- Shape: a change makes some ten new small nodes (tables with arrays of 1-16 slots, 16-256 bytes) and shares all the others,
-- so a block dies when the last version that reaches it is dropped, long after its neighbours in memory or long before. The
-- history keeps hundreds of versions and forgets the oldest. Peak about 10 MB.

local scale = math.max(1, math.tointeger(tonumber(arg and arg[1])) or 100) -- percent

local state = 3872983346
local function random(n)
  state = state * 6364136223846793005 + 1442695040888963407
  return (state >> 33) % n
end

-- A persistent vector: a 16-ary tree; a version is { size, depth, root }.
local empty_vector = { size = 0, depth = 0, root = {} }

local function assoc(node, depth, index, value)
  local copy = table.move(node, 1, #node, 1, {})
  if depth == 0 then
    copy[(index & 15) + 1] = value
  else
    local slot = (index >> 4 * depth & 15) + 1
    copy[slot] = assoc(copy[slot] or {}, depth - 1, index, value)
  end
  return copy
end

local function vector_set(vector, index, value)
  return { size = vector.size, depth = vector.depth, root = assoc(vector.root, vector.depth, index, value) }
end

local function vector_push(vector, value)
  local depth, root = vector.depth, vector.root
  if vector.size == 1 << 4 * (depth + 1) then depth, root = depth + 1, { root } end
  return { size = vector.size + 1, depth = depth, root = assoc(root, depth, vector.size, value) }
end

local function vector_get(vector, index)
  local node = vector.root
  for depth = vector.depth, 1, -1 do node = node[(index >> 4 * depth & 15) + 1] end
  return node[(index & 15) + 1]
end

-- A persistent map: an AA tree of { key, value, level, left, right }; equal maps of equal history have equal shape.
local function tree(key, value, level, left, right) return { key, value, level, left, right } end

local function skew(node)
  local left = node[4]
  if left and left[3] == node[3] then
    return tree(left[1], left[2], left[3], left[4], tree(node[1], node[2], node[3], left[5], node[5]))
  end
  return node
end

local function split(node)
  local right = node[5]
  local far = right and right[5]
  if far and far[3] == node[3] then
    return tree(right[1], right[2], right[3] + 1, tree(node[1], node[2], node[3], node[4], right[4]), far)
  end
  return node
end

local function map_set(node, key, value)
  if not node then return tree(key, value, 1, false, false) end
  if key == node[1] then return tree(key, value, node[3], node[4], node[5]) end
  if key < node[1] then return split(skew(tree(node[1], node[2], node[3], map_set(node[4], key, value), node[5]))) end
  return split(skew(tree(node[1], node[2], node[3], node[4], map_set(node[5], key, value))))
end

local function map_get(node, key)
  while node and node[1] ~= key do node = key < node[1] and node[4] or node[5] end
  return node and node[2]
end

local function map_fold(node, value, f)
  if not node then return value end
  return map_fold(node[5], f(map_fold(node[4], value, f), node[1], node[2]), f)
end

-- Lists.
local function cons(head, tail) return { head = head, tail = tail } end
local function take(list, n)
  if n == 0 or not list then return nil end
  return cons(list.head, take(list.tail, n - 1))
end

-- The document: lines of text in a vector, an index from word to line in a map, marks in a list.
local words = {}
for i = 1, 700 do words[i] = ("w%x"):format(i * 7919) end

local function type_line(document, number)
  local line = { words[1 + random(#words)], words[1 + random(#words)], words[1 + random(#words)] }
  local text = table.concat(line, " ")
  local lines = document.lines
  local at = number
  if number >= lines.size then
    at, lines = lines.size, vector_push(lines, text)
  else
    lines = vector_set(lines, number, text)
  end
  local index = document.index
  for _, word in ipairs(line) do index = map_set(index, word, at) end
  local marks = cons(at, document.marks)
  if random(100) == 0 then marks = take(marks, 30) end
  return { lines = lines, index = index, marks = marks, revision = document.revision + 1 }
end

local document = { lines = empty_vector, index = false, marks = nil, revision = 0 }
local history, newest, oldest, sum, undone = { [0] = document }, 0, 0, 1, 0
for turn = 1, 450 * scale do
  if random(70) == 0 and newest > oldest + 50 then -- undo some steps and go on from there
    for _ = 1, 1 + random(40) do
      history[newest] = nil
      newest = newest - 1
      undone = undone + 1
    end
    document = history[newest]
  end
  document = type_line(document, random(4000))
  newest = newest + 1
  history[newest] = document
  while newest - oldest > 600 do
    history[oldest] = nil
    oldest = oldest + 1
  end
  local word = words[1 + random(#words)]
  local line = map_get(document.index, word)
  if line then sum = (sum * 31 + line + #(vector_get(document.lines, line) or "")) & 0xffffffff end
  if turn % 2000 == 0 then
    local past = history[oldest + random(newest - oldest)]
    sum = map_fold(past.index, sum, function(so_far, key, value) return (so_far * 31 + #key + value) & 0xffffffff end)
  end
end
print(("persistent: %d edits, %d undone, %d lines, revision %d, checksum %08x"):format(450 * scale, undone, document.lines.size,
  document.revision, sum))

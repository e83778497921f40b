-- tables: an order book keeping, several indexes over the same records, and arrays that grow and shrink.
--
-- Shape: node vectors and arrays that double (24, 48, 96 ... 1.5 MB) as hashes fill and rehash, with the old vector freed
-- each time; small records (56 + 96 or 192 bytes) referenced from several tables and removed in no particular order, so the
-- live ones end up scattered. Arrays used as stacks and queues, sets that shrink by being rebuilt. Peak about 40 MB.

local scale = math.max(1, math.tointeger(tonumber(arg and arg[1])) or 100) -- percent

local state = 31415926
local function random(n)
  state = state * 6364136223846793005 + 1442695040888963407
  return (state >> 33) % n
end

local cities = { "Aachen", "Bergen", "Cork", "Delft", "Evora", "Faro", "Ghent", "Hamar" }

-- Orders by number, by city and by amount, all three kept in step.
local book = { orders = {}, by_city = {}, by_amount = {}, numbers = {}, size = 0 }

local function add_order(number)
  local order = { number = number, amount = 1 + random(500), city = cities[1 + random(#cities)], items = {} }
  for i = 1, random(6) do order.items[i] = random(1000) end
  if random(4) == 0 then order.note = "order " .. number end
  if random(9) == 0 then order.tags = { urgent = true, colour = random(16) } end
  book.orders[number] = order
  book.by_city[order.city] = book.by_city[order.city] or {}
  book.by_city[order.city][number] = order
  local same = book.by_amount[order.amount]
  if not same then
    same = {}
    book.by_amount[order.amount] = same
  end
  same[#same + 1] = order
  book.size = book.size + 1
  book.numbers[book.size] = number
end

local function drop_order(place)
  local number = book.numbers[place]
  book.numbers[place] = book.numbers[book.size]
  book.numbers[book.size] = nil
  book.size = book.size - 1
  local order = book.orders[number]
  book.orders[number] = nil
  book.by_city[order.city][number] = nil
  local same = book.by_amount[order.amount]
  for i, other in ipairs(same) do
    if other == order then
      table.remove(same, i)
      break
    end
  end
  return order
end

local function keep_book(turns)
  local sum, number = 0, 0
  for turn = 1, turns do
    local wave = (turn // 4000) % 3 -- the book fills for two waves and empties in the third
    if book.size == 0 or random(10) < (wave == 2 and 2 or 7) then
      number = number + 1
      add_order(number * 7 % 1000003)
    else
      local order = drop_order(1 + random(book.size))
      sum = (sum * 31 + order.amount + #order.items) & 0xffffffff
    end
  end
  local total = 0
  for _, order in pairs(book.orders) do total = total + order.amount end -- a sum does not depend on the order
  return sum ~ total
end

-- A sieve-like pass: sets with integer and string keys that are filtered into new ones until few are left.
local function shrinking_sets(size)
  local set, kept = {}, 0
  for i = 1, size do
    set[i] = i * i
    if i % 3 == 0 then set["k" .. i] = i end
  end
  for _, factor in ipairs({ 2, 3, 5, 7, 11 }) do
    local rest = {}
    for key, value in pairs(set) do
      if value % factor ~= 1 then rest[key] = value end
    end
    set = rest
  end
  for _, value in pairs(set) do kept = kept + value end
  return kept
end

-- A grid kept as rows that appear when first written; flooded from the middle with an array used as a queue.
local function flood(side)
  local grid = setmetatable({}, { __index = function(rows, y)
    local row = {}
    rows[y] = row
    return row
  end })
  local queue, head, filled = { { x = 0, y = 0 } }, 1, 0
  while head <= #queue do
    local cell = queue[head]
    queue[head] = false
    head = head + 1
    local x, y = cell.x, cell.y
    if x * x + y * y <= side * side and not grid[y][x] and (x * 7 + y * 13) % 11 ~= 0 then
      grid[y][x] = cell
      filled = filled + 1
      queue[#queue + 1] = { x = x + 1, y = y }
      queue[#queue + 1] = { x = x - 1, y = y }
      queue[#queue + 1] = { x = x, y = y + 1 }
      queue[#queue + 1] = { x = x, y = y - 1 }
    end
  end
  return filled
end

local sum = keep_book(4000 * scale)
for round = 1, 4 do
  sum = (sum * 31 + shrinking_sets(350 * scale + round)) & 0xffffffff
  sum = (sum * 31 + flood(20 + scale // 2 + round)) & 0xffffffff
end
print(("tables: %d orders left, checksum %08x"):format(book.size, sum))

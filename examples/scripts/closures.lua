-- closures: lazy streams, composed functions, memo tables, counters and an observer hub.
--
-- Shape: closures with one to four upvalues (40-64 bytes) and the upvalue boxes beside them (40), packed varargs (a table, an
-- array and a node for n), and small tables of functions. Pipelines are built per job and die with it; subscriptions and memo
-- tables live for many jobs. Nearly all blocks are 40 to 64 bytes. Peak about 3 MB.

local scale = math.max(1, math.tointeger(tonumber(arg and arg[1])) or 100) -- percent

local state = 271828182
local function random(n)
  state = state * 6364136223846793005 + 1442695040888963407
  return (state >> 33) % n
end

-- Lazy streams: a stream is a function that returns the next value or nil.
local function range(from, to)
  local next_value = from - 1
  return function()
    if next_value < to then
      next_value = next_value + 1
      return next_value
    end
  end
end

local function map(stream, f)
  return function()
    local value = stream()
    if value ~= nil then return f(value) end
  end
end

local function filter(stream, accepts)
  return function()
    local value = stream()
    while value ~= nil and not accepts(value) do value = stream() end
    return value
  end
end

local function chunks(stream, length)
  return function()
    local chunk = {}
    for i = 1, length do
      chunk[i] = stream()
      if chunk[i] == nil then break end
    end
    return chunk[1] ~= nil and chunk or nil
  end
end

local function fold(stream, value, f)
  for element in stream do value = f(value, element) end
  return value
end

-- Functions made out of functions.
local function compose(...)
  local functions = table.pack(...)
  return function(...)
    local values = table.pack(functions[functions.n](...))
    for i = functions.n - 1, 1, -1 do values = table.pack(functions[i](table.unpack(values, 1, values.n))) end
    return table.unpack(values, 1, values.n)
  end
end

local function curry(f, arity, ...)
  local held = { ... }
  return function(argument)
    local all = { table.unpack(held) }
    all[#all + 1] = argument
    if #all == arity then return f(table.unpack(all)) end
    return curry(f, arity, table.unpack(all))
  end
end

local function memoize(f)
  local memo = {}
  return function(n)
    local value = memo[n]
    if value == nil then
      value = f(n)
      memo[n] = value
    end
    return value
  end
end

local function account(balance)
  local history = {}
  local function note(kind, amount) history[#history + 1] = function() return kind, amount, balance end end
  return {
    deposit = function(amount)
      balance = balance + amount
      note("deposit", amount)
    end,
    withdraw = function(amount)
      if amount > balance then return false end
      balance = balance - amount
      note("withdraw", amount)
      return true
    end,
    replay = function()
      local sum = 0
      for i, entry in ipairs(history) do
        local kind, amount, now = entry()
        sum = sum + i * (kind == "deposit" and amount or -amount) + now
      end
      return sum
    end,
  }
end

-- A hub whose subscribers come and go; each subscription is a closure that remembers what it has seen.
local hub = { subscribers = {}, total = 0 }
local function subscribe(weight)
  local seen, limit = 0, 20 + random(400)
  hub.subscribers[#hub.subscribers + 1] = function(...)
    seen = seen + select("#", ...)
    for i = 1, select("#", ...) do hub.total = (hub.total + weight * select(i, ...)) & 0xffffffff end
    return seen < limit
  end
end

local function publish(...)
  local kept = {}
  for _, notify in ipairs(hub.subscribers) do
    if notify(...) then kept[#kept + 1] = notify end
  end
  hub.subscribers = kept
end

local sum = 1
local function mix(value) sum = (sum * 31 + value) & 0xffffffff end

local fibonacci
for job = 1, 70 * scale do
  local step = 1 + random(7)
  local stream = chunks(filter(map(range(1, 120), function(n) return n * step end), function(n) return n % 3 ~= 0 end), 5)
  mix(fold(stream, 0, function(total, chunk) return total + #chunk * chunk[1] end))

  local twist = compose(function(a, b, c) return a - b + c end, function(a, b) return b, a, a * b end,
    function(a, b, ...) return a + select("#", ...), b end)
  mix(twist(job, step, nil, job))
  mix(curry(function(a, b, c, d) return a * b - c * d end, 4)(job)(step)(3)(job % 11))

  if job % 50 == 1 then
    fibonacci = memoize(function(n) return n < 2 and n or (fibonacci(n - 1) + fibonacci(n - 2)) & 0xffffffff end)
  end
  mix(fibonacci(30 + job % 120))

  local mine = account(100)
  for i = 1, 12 do
    if i % 3 == 0 then mine.withdraw(random(90)) else mine.deposit(random(50)) end
  end
  mix(mine.replay())

  for weight = 1, 4 do subscribe(weight * step) end
  publish(job, step, job % 5)
end
print(("closures: %d jobs, %d subscribers left, checksum %08x"):format(70 * scale, #hub.subscribers, sum ~ hub.total))

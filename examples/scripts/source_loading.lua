-- source_loading: Lua modules generated as text, compiled, dumped, loaded again and run; some stay, as in a long-lived host.
--
-- Shape: the parser's arrays (code, constants, line info) start at four elements, double, and are shrunk to their exact size at
-- the end, so this is the program with the most shrinking reallocations; prototypes, constants as strings, one byte per line.
-- Sources and bytecode are strings of 1-60 kB. Old modules are replaced by new versions. Peak about 12 MB.

local scale = math.max(1, math.tointeger(tonumber(arg and arg[1])) or 100) -- percent

local state = 3316624790
local function random(n)
  state = state * 6364136223846793005 + 1442695040888963407
  return (state >> 33) % n
end

local function choose(list) return list[1 + random(#list)] end

-- Expressions and statements, over the variables that are in sight.
local operators = { "+", "-", "*", "~", "&", "|" }

local function expression(names, depth)
  local kind = random(depth > 0 and 8 or 3)
  if kind == 0 then return tostring(random(100000)) end
  if kind < 3 then return choose(names) end
  if kind < 6 then
    return ("(%s %s %s)"):format(expression(names, depth - 1), choose(operators), expression(names, depth - 1))
  end
  if kind == 6 then return ("#%q"):format(("text %d "):format(random(500)):rep(1 + random(5))) end
  return ("(function(n) return n %s %s end)(%s)"):format(choose(operators), choose(names), expression(names, depth - 1))
end

local statement

local function block(out, names, indent, depth, length)
  local visible = table.move(names, 1, #names, 1, {})
  for _ = 1, length do statement(out, visible, indent, depth) end
end

function statement(out, names, indent, depth)
  local pad = ("  "):rep(indent)
  local kind = random(depth > 0 and 8 or 4)
  if kind < 2 and #names < 60 then
    local name = ("v%d_%d"):format(indent, #names)
    out[#out + 1] = ("%slocal %s = %s"):format(pad, name, expression(names, 2))
    names[#names + 1] = name
  elseif kind < 4 then
    out[#out + 1] = ("%sresult = (result * 31 + %s) & 0xffffff"):format(pad, expression(names, 2))
  elseif kind == 4 then
    out[#out + 1] = ("%sif %s > %s then"):format(pad, choose(names), expression(names, 1))
    block(out, names, indent + 1, depth - 1, 2 + random(3))
    out[#out + 1] = pad .. "else"
    block(out, names, indent + 1, depth - 1, 1 + random(2))
    out[#out + 1] = pad .. "end"
  elseif kind == 5 then
    out[#out + 1] = ("%sfor i%d = 1, %d do"):format(pad, indent, 1 + random(3))
    block(out, names, indent + 1, depth - 1, 2 + random(2))
    out[#out + 1] = pad .. "end"
  elseif kind == 6 then
    out[#out + 1] = ("%sdo -- a record with a method"):format(pad)
    out[#out + 1] = ("%s  local record = { name = %q, size = %s, list = { %s, %s, %s } }"):format(pad,
      "record " .. random(1000), expression(names, 1), choose(names), choose(names), random(64))
    out[#out + 1] = ("%s  function record.sum(self) return self.size + self.list[1] * #self.list end"):format(pad)
    out[#out + 1] = ("%s  result = (result ~ record:sum()) & 0xffffff"):format(pad)
    out[#out + 1] = pad .. "end"
  else
    out[#out + 1] = ("%swhile result %% %d == 0 and result > 8 do result = result // 2 + %s %% 7 - 3 end"):format(pad,
      2 + random(5), choose(names))
  end
end

local function module_source(number)
  local out = { ("-- module %d"):format(number), "local result = ...", "local exports = {}" }
  for f = 1, 3 + random(8) do
    out[#out + 1] = ("function exports.f%d(a, b)"):format(f)
    block(out, { "a", "b", "result" }, 1, 3, 4 + random(6))
    out[#out + 1] = "  return result"
    out[#out + 1] = "end"
  end
  out[#out + 1] = "return exports"
  return table.concat(out, "\n")
end

local function load_in_pieces(text)
  local at = 1
  return load(function()
    local piece = text:sub(at, at + 511)
    at = at + 512
    return piece
  end, "=pieces")
end

local modules, sum, bytes = {}, 1, 0
for round = 1, 9 * scale do
  local source = module_source(round)
  local chunk = assert(load(source, "=module" .. round % 50))
  local stripped = string.dump(chunk, round % 2 == 0)
  local again = assert(load(stripped, "=dumped", "b"))
  local third = round % 5 == 0 and assert(load_in_pieces(source)) or again
  bytes = bytes + #source + #stripped
  local old = modules[round % 80 + 1]
  local new = { source = round % 3 == 0 and source or nil, original = chunk(round), copy = third(round) }
  modules[round % 80 + 1] = new
  for f = 1, 3 do
    local name = "f" .. f
    local one, two = new.original[name](round, f), new.copy[name](round, f)
    assert(one == two, "a reloaded function gives another result")
    sum = (sum * 31 + one) & 0xffffffff
    if old then sum = (sum * 31 + old.original[name](f, round)) & 0xffffffff end
  end
  local ok, message = load(source:sub(1, #source // 2) .. " = = end", "=broken")
  assert(not ok)
  sum = (sum * 31 + #message) & 0xffffffff
end
print(("source_loading: %d modules, %d bytes of text and code, checksum %08x"):format(9 * scale, bytes, sum))

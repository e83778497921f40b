-- json: documents encoded to text and decoded back, by a codec written in Lua.
--
-- Shape: decoding makes a burst of nested tables, arrays that double and interned keys, all alive until the document is
-- dropped; encoding makes one array of many short pieces and then one large string. Key strings are shared, values are not.
-- Documents differ in size from 1 to 300 kB and a few are kept. Peak about 15 MB.

local scale = math.max(1, math.tointeger(tonumber(arg and arg[1])) or 100) -- percent

local state = 577215664
local function random(n)
  state = state * 6364136223846793005 + 1442695040888963407
  return (state >> 33) % n
end

-- Encoding. Keys are sorted, so that the same value always gives the same text.
local null = setmetatable({}, { __tostring = function() return "null" end })
local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t" }

local function quote(text)
  return '"' .. text:gsub('[%c"\\]', function(c) return escapes[c] or ("\\u%04x"):format(c:byte()) end) .. '"'
end

local function encode_to(out, value)
  local kind = type(value)
  if value == null then
    out[#out + 1] = "null"
  elseif kind == "string" then
    out[#out + 1] = quote(value)
  elseif kind == "number" then
    out[#out + 1] = math.type(value) == "integer" and ("%d"):format(value) or ("%.17g"):format(value)
  elseif kind == "boolean" then
    out[#out + 1] = tostring(value)
  elseif value[1] ~= nil then
    for i = 1, #value do
      out[#out + 1] = i == 1 and "[" or ","
      encode_to(out, value[i])
    end
    out[#out + 1] = "]"
  else
    local keys = {}
    for key in pairs(value) do keys[#keys + 1] = key end
    table.sort(keys)
    out[#out + 1] = "{"
    for i, key in ipairs(keys) do
      out[#out + 1] = (i > 1 and "," or "") .. quote(key) .. ":"
      encode_to(out, value[key])
    end
    out[#out + 1] = "}"
  end
end

local function encode(value)
  local out = {}
  encode_to(out, value)
  return table.concat(out)
end

-- Decoding: every reader takes the text and a position and gives a value and the position behind it.
local read_value
local unescapes = { n = "\n", t = "\t", r = "\r", b = "\b", f = "\f" }

local function fail(text, at) error(("bad JSON at %d: %q"):format(at, text:sub(at, at + 10))) end

local function read_string(text, at)
  local plain = text:match('^"([^"\\]*)"', at)
  if plain then return plain, at + #plain + 2 end
  local parts, from = {}, at + 1
  while true do
    local stop = text:find('["\\]', from) or fail(text, at)
    parts[#parts + 1] = text:sub(from, stop - 1)
    if text:byte(stop) == 34 then return table.concat(parts), stop + 1 end
    local c = text:sub(stop + 1, stop + 1)
    if c == "u" then
      parts[#parts + 1] = utf8.char(tonumber(text:sub(stop + 2, stop + 5), 16))
      from = stop + 6
    else
      parts[#parts + 1] = unescapes[c] or c
      from = stop + 2
    end
  end
end

local function read_array(text, at)
  local array, n = {}, 0
  at = text:match("^%s*()", at + 1)
  if text:byte(at) == 93 then return array, at + 1 end
  while true do
    n = n + 1
    array[n], at = read_value(text, at)
    local mark
    mark, at = text:match("^%s*([,%]])()", at)
    if mark == "]" then return array, at end
    if not mark then fail(text, at or 1) end
  end
end

local function read_object(text, at)
  local object = {}
  at = text:match("^%s*()", at + 1)
  if text:byte(at) == 125 then return object, at + 1 end
  while true do
    local key, mark
    key, at = read_string(text, text:match("^%s*()", at))
    object[key], at = read_value(text, text:match("^%s*:()", at) or fail(text, at))
    mark, at = text:match("^%s*([,}])()", at)
    if mark == "}" then return object, at end
    if not mark then fail(text, at or 1) end
  end
end

local literals = { ["true"] = true, ["false"] = false, null = null }

function read_value(text, at)
  at = text:match("^%s*()", at)
  local c = text:byte(at)
  if c == 34 then return read_string(text, at) end
  if c == 123 then return read_object(text, at) end
  if c == 91 then return read_array(text, at) end
  local word = text:match("^%a+", at)
  if word and literals[word] ~= nil then return literals[word], at + #word end
  local digits = text:match("^-?%d+%.?%d*[eE]?[+-]?%d*", at) or fail(text, at)
  return math.tointeger(digits) or tonumber(digits), at + #digits
end

local function decode(text) return (read_value(text, 1)) end

-- Documents: a shop's orders.
local names = { "Ada", "Béla", 'Chloé "C" Dupont', "Dag\tHammar", "Evi", "Farid", "Gunhild\nvon Aa" }
local function person()
  return { name = names[1 + random(#names)], age = random(90), mail = random(3) == 0 and null or ("p%d@example.org"):format(
    random(10000)) }
end

local function order(id)
  local lines = {}
  for i = 1, 1 + random(8) do
    lines[i] = { article = ("A-%06d"):format(random(1000000)), count = 1 + random(12), price = random(100000) / 64,
      gift = random(5) == 0, tags = { "t" .. random(20), "t" .. random(20) } }
  end
  return { id = id, customer = person(), ship_to = random(2) == 0 and person() or null, lines = lines,
    comment = ("so it goes "):rep(random(12)) }
end

local kept, sum, bytes = {}, 3, 0
for round = 1, scale do
  local document = { version = round, orders = {} }
  for i = 1, 1 + random(40) * random(24) // 2 do document.orders[i] = order(round * 1000 + i) end
  local text = encode(document)
  local copy = decode(text)
  local again = encode(copy)
  assert(text == again, "round trip changed the document")
  bytes = bytes + #text
  for i = 1, #text, 211 do sum = (sum * 31 + text:byte(i)) & 0xffffffff end
  if round % 4 == 0 then kept[(round // 4 - 1) % 12 + 1] = copy end
end

local lines = 0
for _, document in ipairs(kept) do
  for _, each in ipairs(document.orders) do lines = lines + #each.lines end
end
print(("json: %d documents, %d bytes, %d lines kept, checksum %08x"):format(scale, bytes, lines, sum))

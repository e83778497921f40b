-- strings: writes a log, takes it apart again, and renders reports from what it found.
--
-- Shape: strings of every length from one byte to some hundred kilobytes. Short ones (interned, 26-65 bytes) come from
-- gmatch and format, middle ones from line building, large ones from table.concat, rep and gsub over whole texts, whose
-- buffers grow by half and are dropped. Most strings die young; a window of recent texts stays. Peak about 8 MB.

local scale = math.max(1, math.tointeger(tonumber(arg and arg[1])) or 100) -- percent

local state = 987654321
local function random(n)
  state = state * 6364136223846793005 + 1442695040888963407
  return (state >> 33) % n
end

local sum = 17
local function mix(text)
  sum = (sum * 33 + #text) & 0xffffffff
  for i = 1, #text, 97 do sum = (sum * 33 + text:byte(i)) & 0xffffffff end
end

local hosts = { "alpha.example.org", "beta.example.org", "gamma", "delta.internal.example.net" }
local verbs = { "GET", "PUT", "POST", "DELETE" }
local words = {}
for i = 1, 400 do
  local letters = {}
  for k = 1, 2 + random(12) do letters[k] = string.char(97 + random(26)) end
  words[i] = table.concat(letters)
end

local function phrase(length)
  local parts = {}
  for i = 1, length do parts[i] = words[1 + random(#words)] end
  return table.concat(parts, " ")
end

local function log_text(lines)
  local out = {}
  for i = 1, lines do
    out[i] = string.format("%s [%05d] %-6s /%s?id=%d&q=%q took %.3f ms", hosts[1 + random(#hosts)], i, verbs[1 + random(4)],
      words[1 + random(#words)], random(1000), phrase(1 + random(6)), random(100000) / 997)
  end
  return table.concat(out, "\n")
end

local function analyse(text)
  local per_host, frequency, slow = {}, {}, 0
  for line in text:gmatch("[^\n]+") do
    local host, path, query, took = line:match('^(%S+) %[%d+%] %u+%s+(/%a+)%?id=%d+&q="([^"]*)" took ([%d.]+) ms$')
    per_host[host] = (per_host[host] or "") .. path:sub(2, 4)
    for word in query:gmatch("%a+") do frequency[word:upper()] = (frequency[word:upper()] or 0) + 1 end
    if tonumber(took) > 90 then slow = slow + 1 end
  end
  return per_host, frequency, slow
end

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local function base64(text)
  return (text:gsub("..?.?", function(group)
    local a, b, c = group:byte(1, 3)
    local bits = a << 16 | (b or 0) << 8 | (c or 0)
    local out = ""
    for i = 0, #group do
      local digit = (bits >> (18 - 6 * i)) & 63
      out = out .. alphabet:sub(digit + 1, digit + 1)
    end
    return out .. ("="):rep(3 - #group)
  end))
end

local template = [[
<tr class="${class}"><td>${host}</td><td>${short}</td>
  <td title="${title}">${count}</td></tr>
]]

local window = {}
local rounds = 6 * scale
for round = 1, rounds do
  local text = log_text(100 + random(80))
  local per_host, frequency, slow = analyse(text)
  local rows = {}
  for i, host in ipairs(hosts) do
    local visits = per_host[host] or ""
    local fields = { class = i % 2 == 0 and "even" or "odd", host = host, short = visits:sub(1, 40), count = #visits // 3,
      title = visits:reverse() }
    rows[i] = template:gsub("%${(%a+)}", fields)
  end
  local page = table.concat(rows) .. ("-"):rep(random(3000)) .. slow
  page = page:gsub("[<>&]", { ["<"] = "&lt;", [">"] = "&gt;", ["&"] = "&amp;" })
  for _, word in ipairs(words) do
    local seen = frequency[word:upper()]
    if seen then page = page .. string.format("%s=%d;", word, seen) end
  end
  window[round % 40 + 1] = { text = text, page = page, code = base64(page:sub(1, 1200)) }
  mix(page)
  mix(window[round % 40 + 1].code)
end

local everything = {}
for i, entry in ipairs(window) do everything[i] = entry.text end
local all = table.concat(everything, "\n"):lower():gsub("%d+", function(digits) return "<" .. digits .. ">" end)
mix(all)
print(("strings: %d rounds, %d bytes at the end, checksum %08x"):format(rounds, #all, sum))

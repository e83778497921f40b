-- request_handler: a web application without the web: requests are parsed, routed, answered from templates.
--
-- Shape: what one request makes (header tables, query strings, a page of 1-6 kB built from pieces) dies with the request,
-- while sessions, carts and a page cache made in between live for hundreds of requests. Mixed sizes, two clear lifetimes, and
-- the long-lived blocks lie scattered among the short-lived. Weak tables and finalizers as in real servers. Peak about 4 MB.

local scale = math.max(1, math.tointeger(tonumber(arg and arg[1])) or 100) -- percent

local state = 1732050807
local function random(n)
  state = state * 6364136223846793005 + 1442695040888963407
  return (state >> 33) % n
end

local sum = 1
local function mix(value) sum = (sum * 31 + value) & 0xffffffff end

-- Requests as text.
local agents = { "Mozilla/5.0 (X11; Linux x86_64)", "curl/7.88", "ExampleBot/2.1 (+http://bot.example.org/about.html)" }
local searches = { "red+shoes", "caf%C3%A9+au+lait", "lua%20%26%20c", "umbrella", "a+very+long+question+about+nearly+nothing" }
local function make_request(client)
  local kind, target, body = random(10), nil, ""
  if kind < 4 then
    target = "/product/" .. random(300)
  elseif kind < 7 then
    local order = random(2) == 0 and "up" or "down"
    target = ("/search?q=%s&page=%d&sort=%s"):format(searches[1 + random(#searches)], random(4), order)
  elseif kind < 9 then
    target, body = "/cart", ("product=%d&count=%d&note=%s"):format(random(300), 1 + random(5), searches[1 + random(#searches)])
  else
    target = random(3) == 0 and "/logout" or "/nowhere/" .. random(1000)
  end
  return table.concat({ (body == "" and "GET " or "POST ") .. target .. " HTTP/1.1", "Host: shop.example.org",
    "User-Agent: " .. agents[1 + client % #agents], "Accept: text/html, text/plain;q=0.8, */*;q=0.1",
    ("Cookie: sid=%x; theme=%s"):format(client * 2654435761, client % 3 == 0 and "dark" or "light"),
    "Content-Length: " .. #body, "", body }, "\r\n")
end

-- Parsing.
local function unescape(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

local function parse_form(text)
  local form = {}
  for key, value in text:gmatch("([^&=]+)=([^&]*)") do form[unescape(key)] = unescape(value) end
  return form
end

local function parse_request(text)
  local method, target, rest = text:match("^(%u+) (%S+) HTTP/1%.1\r\n(.*)$")
  local head, body = rest:match("^(.-)\r\n\r\n(.*)$")
  local headers, cookies = {}, {}
  for name, value in head:gmatch("([^:\r\n]+):%s*([^\r\n]*)") do headers[name:lower()] = value end
  for name, value in (headers.cookie or ""):gmatch("(%w+)=([^;]*)") do cookies[name] = value end
  local path, query = target:match("^([^?]*)%??(.*)$")
  return { method = method, path = path, query = parse_form(query), form = parse_form(body), headers = headers,
    cookies = cookies }
end

-- Sessions live until they are thrown out; their ends are counted by a finalizer, as a server would log them.
local sessions, session_count, ended = {}, 0, 0
local session_meta = { __gc = function() ended = ended + 1 end }
local function session_of(request)
  local id = request.cookies.sid
  local session = sessions[id]
  if not session then
    session = setmetatable({ id = id, cart = {}, seen = {}, requests = 0 }, session_meta)
    sessions[id] = session
    session_count = session_count + 1
  end
  session.requests = session.requests + 1
  return session
end

-- Templates: compiled once into a list of texts and lookups.
local function compile(source)
  local parts = {}
  for text, name in (source .. "{{}}"):gmatch("(.-){{(%w*)}}") do
    parts[#parts + 1] = text
    if name ~= "" then parts[#parts + 1] = { name = name } end
  end
  return function(values)
    local out = {}
    for i, part in ipairs(parts) do out[i] = type(part) == "table" and tostring(values[part.name] or "") or part end
    return table.concat(out)
  end
end

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }
local function escape(text) return (text:gsub('[&<>"]', entities)) end

local layout = compile([[
<!DOCTYPE html><html><head><title>{{title}}</title><link rel="stylesheet" href="/{{theme}}.css"></head>
<body><header>Shop of examples; you have {{count}} things in your cart</header>
<main>{{main}}</main><footer>You are visitor {{visitor}}, request {{requests}}</footer></body></html>
]])
local item = compile('<li class="{{class}}"><a href="/product/{{id}}">{{name}}</a> <b>{{price}}</b> {{note}}</li>\n')

local products = {}
for id = 0, 299 do
  products[id] = { id = id, name = ("Thing <%d> & more"):format(id), price = ("%.2f"):format(id * 1.37 + 1) }
end

-- A weak cache beside a strong one: pages may vanish from it at any time, and are made again the same.
local page_cache = setmetatable({}, { __mode = "v" })
local function product_page(id)
  local page = page_cache[id]
  if not page then
    local rows = {}
    for i = 1, 5 + id % 15 do
      local other = products[(id * i + i) % 300]
      rows[i] = item({ class = i % 2 == 0 and "a" or "b", id = other.id, name = escape(other.name), price = other.price })
    end
    page = { text = "<h1>" .. escape(products[id].name) .. "</h1><ul>" .. table.concat(rows) .. "</ul>" }
    page_cache[id] = page
  end
  return page.text
end

local routes = {}
routes["/product/"] = function(request, session)
  local id = tonumber(request.path:match("%d+$"))
  session.seen[#session.seen + 1] = id
  return "Product " .. id, product_page(id)
end
routes["/search"] = function(request)
  local rows = {}
  for i = 1, 12 do
    local product = products[(#request.query.q * 17 + i * (1 + tonumber(request.query.page))) % 300]
    rows[i] = item({ class = request.query.sort, id = product.id, name = escape(product.name), price = product.price,
      note = escape(request.query.q) })
  end
  return "Search", "<ul>" .. table.concat(rows) .. "</ul>"
end
routes["/cart"] = function(request, session)
  local cart = session.cart
  cart[#cart + 1] = { product = tonumber(request.form.product), count = tonumber(request.form.count), note = request.form.note }
  local rows = {}
  for i, line in ipairs(cart) do
    rows[i] = ("<tr><td>%s<td>%d<td>%s</tr>"):format(escape(products[line.product].name), line.count, escape(line.note))
  end
  if #cart > 20 then session.cart = {} end
  return "Cart", "<table>" .. table.concat(rows, "\n") .. "</table>"
end
routes["/logout"] = function(_, session)
  if sessions[session.id] == session then
    sessions[session.id] = nil
    session_count = session_count - 1
  end
  return "Goodbye", ("<p>%d pages seen</p>"):format(#session.seen)
end

local function respond(request)
  local session = session_of(request)
  local route = routes[request.path] or routes[request.path:match("^/%a+/")]
  local title, main, status = "Not found", "<p>No page of that name</p>", "404 Not Found"
  if route then
    status = "200 OK"
    title, main = route(request, session)
  end
  local page = layout({ title = title, theme = request.cookies.theme, count = #session.cart, main = main, visitor = session.id,
    requests = session.requests })
  return ("HTTP/1.1 %s\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s"):format(status, #page, page)
end

for _ = 1, 160 * scale do
  local client = random(40) * random(40)
  local response = respond(parse_request(make_request(client)))
  mix(#response)
  mix(response:byte(-40))
end
print(("request_handler: %d requests, %d sessions open, checksum %08x"):format(160 * scale, session_count, sum))

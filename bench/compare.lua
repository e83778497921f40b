-- A comparison: rows (scripts, programs) times allocators, and in each cell the spread of some figures. Geometric means, tables,
-- verdicts and plots of it. A comparison is a table { allocators =, rows = names, cells[row][allocator name][key] = spread,
-- row_title = what a row is }.

local suite = require "suite"
local allocators = require "allocators"
local map, render = suite.map, suite.render
local REFERENCE, OURS = allocators.REFERENCE, allocators.OURS

local compare = {}

local function ratio(row, name, key, which) return row[name][key][which] / row[REFERENCE][key][which] end

function compare.geometric_mean(c, name, key, which)
  local sum = 0
  for _, row_name in ipairs(c.rows) do sum = sum + math.log(ratio(c.cells[row_name], name, key, which)) end
  return math.exp(sum / #c.rows)
end

-- The peers are the preloaded libraries, except variants of scalloc given with --lib; glibc stands in where there are none.
local function peers_of(c)
  local result = {}
  for _, allocator in ipairs(c.allocators) do
    if allocator.library and not allocator.name:find("^" .. OURS) then result[#result + 1] = allocator.name end
  end
  return #result > 0 and result or { REFERENCE }
end

local function lowest(names, value_of)
  local best
  for _, name in ipairs(names) do
    if not best or value_of(name) < value_of(best) then best = name end
  end
  return best
end

-- Where scalloc comes out worst against the best of these allocators on the same row.
local function worst_against(names, c, key, which)
  local worst = { ratio = 0 }
  for _, row_name in ipairs(c.rows) do
    local row = c.cells[row_name]
    local best = lowest(names, function(name) return row[name][key][which] end)
    local against = row[OURS][key][which] / row[best][key][which]
    if against > worst.ratio then worst = { ratio = against, row = row_name, peer = best } end
  end
  return worst
end

function compare.verdict(c, key, which)
  local function mean(name) return compare.geometric_mean(c, name, key, which) end
  local peers = peers_of(c)
  local best = lowest(peers, mean)
  return { to_reference = mean(OURS), to_best_peer = mean(OURS) / mean(best), best_peer = best,
    worst_to_best_peer = worst_against(peers, c, key, which),
    worst_to_reference = worst_against({ REFERENCE }, c, key, which) }
end

function compare.verdict_line(c, what, key, which)
  local v = compare.verdict(c, key, which)
  local peer, reference = v.worst_to_best_peer, v.worst_to_reference
  local means = ("scalloc's geometric mean is %.3f of glibc's and %.3f of the best peer's (%s)."):format(v.to_reference,
    v.to_best_peer, v.best_peer)
  local extremes = ("Worst single ratio: %.3f to the best peer of a %s (%s, %s), %.3f to glibc (%s)."):format(peer.ratio,
    c.row_title, peer.row, peer.peer, reference.ratio, reference.row)
  return ("%s: %s %s"):format(what, means, extremes)
end

-- Tables: lists of rows of text, the header first

function compare.value_rows(c, key, show)
  local rows = { { c.row_title, table.unpack(map(c.allocators, function(allocator) return allocator.name end)) } }
  for _, row_name in ipairs(c.rows) do
    rows[#rows + 1] = { row_name, table.unpack(map(c.allocators, function(allocator)
      local text = show(c.cells[row_name][allocator.name][key].median)
      if allocator.name == REFERENCE then return text end
      return ("%s (%.2f)"):format(text, ratio(c.cells[row_name], allocator.name, key, "median"))
    end)) }
  end
  return rows
end

function compare.mean_row(c, title, key, which)
  return { title, table.unpack(map(c.allocators, function(allocator)
    return ("%.3f"):format(compare.geometric_mean(c, allocator.name, key, which))
  end)) }
end

-- Plots

local PLOT = { width = 720, right = 70, bar = 20, step = 28, head = 84, gap = 46 }

local function xml(text) return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" })) end

local function text_at(x, y, attributes, text)
  return ('<text x="%.1f" y="%.1f" %s>%s</text>'):format(x, y, attributes, xml(text))
end

-- Names stand left of the bars, which begin at `left`; values stand in a column of their own, clear of the line at 1.
local function bar(item, left, y, scale)
  local color = item.name == OURS and "#c2410c" or item.name == REFERENCE and "#475569" or "#94a3b8"
  local weight = item.name == OURS and ' font-weight="bold"' or ""
  return table.concat({
    text_at(left - 8, y + 15, 'text-anchor="end"' .. weight, item.name),
    ('<rect x="%d" y="%.1f" width="%.1f" height="%d" rx="2" fill="%s"/>'):format(left, y, item.value * scale, PLOT.bar, color),
    text_at(PLOT.width - 16, y + 15, 'text-anchor="end"' .. weight, ("%.3f"):format(item.value)),
  }, "\n")
end

local function panel(items, title, left, y)
  local top, largest = y + 14, 1
  for _, item in ipairs(items) do largest = math.max(largest, item.value) end
  local scale, parts = (PLOT.width - left - PLOT.right) / largest, { text_at(left, y, 'font-weight="bold"', title) }
  for i, item in ipairs(items) do parts[#parts + 1] = bar(item, left, top + (i - 1) * PLOT.step, scale) end
  parts[#parts + 1] = ('<path d="M%.1f %.1fV%.1f" stroke="#111827" stroke-dasharray="4 3"/>'):format(left + scale, top - 4,
    top + #items * PLOT.step)
  return table.concat(parts, "\n")
end

-- From the smallest value up.
local function means(c, key)
  local items = map(c.allocators, function(allocator)
    return { name = allocator.name, value = compare.geometric_mean(c, allocator.name, key, "median") }
  end)
  table.sort(items, function(a, b) return a.value < b.value end)
  return items
end

-- panels: { { figure, title }, ... }. An SVG picture of the geometric means of medians.
function compare.plot(c, title, panels)
  local count, left, y, parts = #c.allocators, 0, PLOT.head, {}
  for _, allocator in ipairs(c.allocators) do left = math.max(left, 32 + 9 * #allocator.name) end
  for _, one in ipairs(panels) do
    parts[#parts + 1] = panel(means(c, one[1]), one[2], left, y)
    y = y + 14 + count * PLOT.step + PLOT.gap
  end
  local height = y - PLOT.gap + 12
  return table.concat({
    ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d"'):format(PLOT.width, height,
      PLOT.width, height) .. ' role="img" font-family="sans-serif" font-size="13" fill="#111827">',
    "<title>" .. xml(title) .. "</title>",
    '<rect width="100%" height="100%" fill="#ffffff"/>',
    text_at(16, 26, 'font-size="16" font-weight="bold"', title),
    text_at(16, 46, "", ("Geometric means over %d %ss, relative to glibc (dashed line). Less is better."):format(#c.rows,
      c.row_title)),
    table.concat(parts, "\n"),
    "</svg>\n",
  }, "\n")
end

return compare

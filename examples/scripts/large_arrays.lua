-- large_arrays: series of numbers that grow without a known end, matrices, sorting, and texts joined from long lists.
--
-- Shape: few blocks, but large ones. Arrays double from 16 bytes to 16 MB by realloc, which is where growing in place pays;
-- matrices are rows of 1.6-6 kB; table.concat and string.pack make strings of megabytes. Between the large blocks almost
-- nothing is allocated, and everything large is dropped after use. Peak about 120 MB.

local scale = math.max(1, math.tointeger(tonumber(arg and arg[1])) or 100) -- percent

local state = 3605551275
local function random(n)
  state = state * 6364136223846793005 + 1442695040888963407
  return (state >> 33) % n
end

local sum = 1
local function mix(value) sum = (sum * 31 + value) & 0xffffffff end

-- A measuring series: values arrive one by one, a running mean and a resampled copy are made from it.
local function series(length)
  local raw, level = {}, 5000
  for i = 1, length do
    level = level + random(21) - 10
    raw[i] = level
  end
  local smooth, window = {}, 0
  for i = 1, length do
    window = window + raw[i] - (raw[i - 32] or 0)
    smooth[i] = window // 32
  end
  local resampled = {}
  for i = 1, length, 3 do resampled[#resampled + 1] = smooth[i] end
  return raw, smooth, resampled
end

-- Several series that grow by turns, so that no one of them can always grow in place.
local function interleaved(count, length)
  local all = {}
  for k = 1, count do all[k] = {} end
  for i = 1, length do
    for k = 1, count do all[k][i] = (i * k) & 0xffff end
  end
  return all
end

local function matrix(rows, columns, f)
  local result = {}
  for i = 1, rows do
    local row = {}
    for j = 1, columns do row[j] = f(i, j) end
    result[i] = row
  end
  return result
end

local function multiply(a, b)
  local columns = matrix(#b[1], #b, function(i, j) return b[j][i] end) -- transposed, so that the inner loop runs along rows
  return matrix(#a, #columns, function(i, j)
    local left, right, total = a[i], columns[j], 0
    for k = 1, #left do total = total + left[k] * right[k] end
    return total & 0xffffff
  end)
end

-- Sorting by merging copies made with table.move.
local function merge_sort(list)
  if #list < 64 then
    table.sort(list)
    return list
  end
  local half = #list // 2
  local left = merge_sort(table.move(list, 1, half, 1, {}))
  local right = merge_sort(table.move(list, half + 1, #list, 1, {}))
  local merged, i, j = {}, 1, 1
  for k = 1, #list do
    if not right[j] or (left[i] and left[i] <= right[j]) then
      merged[k] = left[i]
      i = i + 1
    else
      merged[k] = right[j]
      j = j + 1
    end
  end
  return merged
end

local function report(values)
  local lines = {}
  for i = 1, #values, 10 do lines[#lines + 1] = table.concat(values, ",", i, math.min(i + 9, #values)) end
  return table.concat(lines, "\n")
end

for round = 1, 2 do
  local raw, smooth, resampled = series(6000 * scale + round)
  mix(smooth[#smooth])
  mix(#report(resampled))
  local sorted = merge_sort(resampled)
  mix(sorted[#sorted // 2])
  raw = nil
  local packed = {}
  for i = 1, #smooth, 4 do packed[#packed + 1] = string.pack("<i4i4", smooth[i], i) end
  local binary = table.concat(packed)
  mix(#binary)
  mix(string.unpack("<i4", binary, #binary // 16 * 8 + 1))
  for _, one in ipairs(interleaved(9, 700 * scale)) do mix(one[#one]) end
  local side = 60 + scale // 2
  local a = matrix(side, side + 40, function(i, j) return (i * 7 + j * 3 + round) % 101 end)
  local b = matrix(side + 40, side, function(i, j) return (i * 5 + j * 11) % 97 end)
  mix(multiply(a, b)[side][side])
  local stack = table.move(smooth, 1, #smooth, 1, {})
  while #stack > 1000 do
    mix(stack[#stack])
    stack = table.move(stack, 1, #stack // 2, 1, {})
  end
end
print(("large_arrays: checksum %08x"):format(sum))

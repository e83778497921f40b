-- events: a day in a hospital, hour after hour, simulated by a queue of events ordered by time.
--
-- Shape: very many event objects (56 + 192 bytes and a closure) that live from being scheduled to being handled, some for a
-- moment and some for simulated weeks, so that age says little about when one dies. Patients' files grow slowly all the
-- time and are hardly ever dropped: short-lived garbage runs through a heap that keeps getting larger. Peak about 25 MB.

local scale = math.max(1, math.tointeger(tonumber(arg and arg[1])) or 100) -- percent

local state = 4123105625
local function random(n)
  state = state * 6364136223846793005 + 1442695040888963407
  return (state >> 33) % n
end

local sum = 1
local function mix(value) sum = (sum * 31 + value) & 0xffffffff end

-- The queue: a pairing heap, linked through the events themselves; ties go by serial number.
local queue, serial, now, handled = false, 0, 0, 0

local function meld(a, b)
  if not a then return b end
  if not b then return a end
  if b.time < a.time or (b.time == a.time and b.serial < a.serial) then a, b = b, a end
  b.sibling = a.child
  a.child = b
  return a
end

local function schedule(delay, label, action)
  serial = serial + 1
  local event = { time = now + delay, serial = serial, label = label, action = action, child = false, sibling = false }
  queue = meld(queue, event)
  return event
end

local function next_event()
  local top, pairs_of_two = queue, {}
  local child = top.child
  while child do
    local other = child.sibling
    local rest = other and other.sibling
    child.sibling = false
    if other then other.sibling = false end
    pairs_of_two[#pairs_of_two + 1] = meld(child, other)
    child = rest
  end
  local rest = false
  for i = #pairs_of_two, 1, -1 do rest = meld(pairs_of_two[i], rest) end
  queue = rest
  return top
end

-- Wards with beds and waiting lines; patients with files.
local wards = {}
for i, name in ipairs({ "emergency", "surgery", "medicine", "children", "eyes" }) do
  wards[i] = { name = name, beds = 6 + 2 * i, first = 1, last = 0, line = {}, served = 0 }
end

local patients, visits, complaints = {}, 0, {}
for i = 1, 60 do complaints[i] = ("complaint no. %d"):format(i) end

local treat

local function enter(ward, patient)
  if ward.beds > 0 then
    ward.beds = ward.beds - 1
    treat(ward, patient)
  else
    ward.last = ward.last + 1
    ward.line[ward.last] = { patient = patient, since = now }
  end
end

local function leave(ward, patient)
  ward.beds = ward.beds + 1
  ward.served = ward.served + 1
  if ward.first <= ward.last then
    local waiting = ward.line[ward.first]
    ward.line[ward.first] = nil
    ward.first = ward.first + 1
    mix(now - waiting.since)
    enter(ward, waiting.patient)
  end
  if random(4) == 0 then
    local other = wards[1 + random(#wards)]
    schedule(5 + random(60), "transfer", function() enter(other, patient) end)
  elseif random(3) == 0 then
    schedule(5000 + random(60000), "check-up", function() enter(ward, patient) end)
  end
end

function treat(ward, patient)
  local file = patient.file
  local entry = { ward = ward.name, at = now, values = {} }
  for i = 1, 1 + random(4) do entry.values[i] = 60 + random(90) end
  if random(3) == 0 then entry.note = ("%s: %s at %d"):format(patient.name, complaints[1 + random(60)], now) end
  file[#file + 1] = entry
  if #file > 24 then patient.file = table.move(file, 13, #file, 1, {}) end
  visits = visits + 1
  -- Nurses look in while the patient is there; each look is an event of its own.
  local stay = 30 + random(200)
  local looks = 0
  for minute = 10, stay - 1, 25 do
    schedule(minute, "look", function()
      looks = looks + 1
      patient.pulse = (patient.pulse + random(11) - 5) % 256
    end)
  end
  schedule(stay, "leave", function()
    mix(looks + patient.pulse)
    leave(ward, patient)
  end)
end

local function arrive()
  local number = 1 + random(6000)
  local patient = patients[number]
  if not patient then
    patient = { name = ("Patient %05d"):format(number), born = 1920 + random(100), pulse = 70, file = {} }
    patients[number] = patient
  end
  enter(wards[1 + random(#wards)], patient)
  schedule(1 + random(5), "arrival", arrive)
end

local last = 600 * scale
schedule(0, "arrival", arrive)
while now < last do
  local event = next_event()
  now = event.time
  handled = handled + 1
  event.action()
end

local entries, known = 0, 0
for number = 1, 6000 do
  local patient = patients[number]
  if patient then
    known, entries = known + 1, entries + #patient.file
  end
end
for _, ward in ipairs(wards) do mix(ward.served) end
print(("events: %d events, %d visits, %d patients with %d entries, checksum %08x"):format(handled, visits, known, entries, sum))

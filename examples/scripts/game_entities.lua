-- game_entities: a small world of ships, shots and rocks, object-oriented, one frame after the other.
--
-- Shape: vector arithmetic through metatables makes a table with a two-node vector (56 + 48 bytes) per operation, dead at the
-- end of the expression; shots and sparks live for some frames; ships, with inventories and names, for hundreds. The collision
-- grid is built anew every frame. Very many tiny blocks of four sizes, sorted by age only. Peak about 4 MB.

local scale = math.max(1, math.tointeger(tonumber(arg and arg[1])) or 100) -- percent

local state = 2236067977
local function random(n)
  state = state * 6364136223846793005 + 1442695040888963407
  return (state >> 33) % n
end

-- Vectors; all coordinates are small multiples of 1/64, so that sums are exact.
local Vector = {}
Vector.__index = Vector
local function vector(x, y) return setmetatable({ x = x, y = y }, Vector) end
function Vector.__add(a, b) return vector(a.x + b.x, a.y + b.y) end
function Vector.__sub(a, b) return vector(a.x - b.x, a.y - b.y) end
function Vector.__mul(a, k) return vector(a.x * k, a.y * k) end
function Vector.__eq(a, b) return a.x == b.x and a.y == b.y end
function Vector:length2() return self.x * self.x + self.y * self.y end
function Vector:wrap(size) return vector(self.x % size, self.y % size) end
function Vector:turn() return vector(-self.y, self.x) end

-- Classes.
local function class(parent)
  local new = setmetatable({}, { __index = parent })
  new.__index = new
  return new
end

local Entity = class()
local World = { size = 1024, entities = {}, spawned = {}, frame = 0, born = 0, score = {} }

function Entity.new(kind, position, velocity)
  World.born = World.born + 1
  local self = setmetatable({ id = World.born, position = position, velocity = velocity, health = 1 }, kind)
  World.spawned[#World.spawned + 1] = self
  return self
end

function Entity:update() self.position = (self.position + self.velocity * (1 / 4)):wrap(World.size) end
function Entity:hit(_) self.health = self.health - 1 end
function Entity:alive() return self.health > 0 end

local Spark = class(Entity)
function Spark:update()
  Entity.update(self)
  self.health = self.health - 1
end
function Spark:hit() end

local Shot = class(Entity)
Shot.solid = true
function Shot:update()
  Entity.update(self)
  self.fuel = self.fuel - 1
  if self.fuel == 0 then self.health = 0 end
end

local Rock = class(Entity)
Rock.solid = true
function Rock:hit(by)
  self.health = self.health - 1
  if self.health > 0 then return end
  for i = 1, 4 do Entity.new(Spark, self.position, vector(random(33) - 16, random(33) - 16)).health = 4 + i end
  if by.owner then by.owner:earn(self.value, "rock" .. self.value) end
end

local Ship = class(Entity)
Ship.solid = true
function Ship:earn(points, item)
  self.points = self.points + points
  local slot = self.inventory[item]
  if slot then
    slot.count = slot.count + 1
  else
    self.inventory[item] = { count = 1, since = World.frame, label = self.name .. "'s " .. item }
  end
end

function Ship:update()
  local target = World.rocks[1 + (self.id * 7 + World.frame // 50) % #World.rocks]
  local way = target.position - self.position
  local side = way:turn() * (1 / 64)
  if way:length2() > 40000 then self.velocity = (self.velocity + way * (1 / 256) + side):wrap(24) - vector(12, 12) end
  Entity.update(self)
  self.position = vector(self.position.x // (1 / 64) / 64, self.position.y // (1 / 64) / 64)
  self.velocity = vector(self.velocity.x // (1 / 64) / 64, self.velocity.y // (1 / 64) / 64)
  if (World.frame + self.id) % 5 == 0 then
    local shot = Entity.new(Shot, self.position + vector(8, 0), self.velocity * 2 + vector(random(9) - 4, random(9) - 4))
    shot.owner, shot.fuel = self, 20
  end
end

function Ship:hit(by)
  if by.owner ~= self then self.health = self.health - 1 end
end

local function populate()
  local rocks, ships = 0, 0
  for _, entity in ipairs(World.entities) do
    local kind = getmetatable(entity)
    if kind == Rock then rocks = rocks + 1 elseif kind == Ship then ships = ships + 1 end
  end
  for _ = rocks + 1, 400 do
    local rock = Entity.new(Rock, vector(random(1024), random(1024)), vector(random(9) - 4, random(9) - 4))
    rock.health, rock.value = 1 + random(3), 1 + random(10)
  end
  for _ = ships + 1, 60 do
    local ship = Entity.new(Ship, vector(random(1024), random(1024)), vector(0, 0))
    ship.health, ship.points, ship.name, ship.inventory = 12, 0, "Ship " .. ship.id, {}
  end
end

local function collide()
  local grid = {}
  for _, entity in ipairs(World.entities) do
    if entity.solid then
      local key = entity.position.x // 32 * 64 + entity.position.y // 32
      local cell = grid[key]
      if not cell then
        grid[key] = { entity }
      else
        for _, other in ipairs(cell) do
          if (entity.position - other.position):length2() < 200 then
            entity:hit(other)
            other:hit(entity)
          end
        end
        cell[#cell + 1] = entity
      end
    end
  end
end

local sum = 1
for frame = 1, 7 * scale do
  World.frame = frame
  populate()
  for _, entity in ipairs(World.spawned) do World.entities[#World.entities + 1] = entity end
  World.spawned, World.rocks = {}, {}
  for _, entity in ipairs(World.entities) do
    if getmetatable(entity) == Rock then World.rocks[#World.rocks + 1] = entity end
  end
  for _, entity in ipairs(World.entities) do entity:update() end
  collide()
  local living = {}
  for _, entity in ipairs(World.entities) do
    if entity:alive() then
      living[#living + 1] = entity
    elseif entity.points then
      World.score[#World.score + 1] = { name = entity.name, points = entity.points }
      sum = (sum * 31 + entity.points) & 0xffffffff
    end
  end
  World.entities = living
  sum = (sum * 31 + #living) & 0xffffffff
end
print(("game_entities: %d frames, %d entities born, %d alive, %d ships lost, checksum %08x"):format(World.frame, World.born,
  #World.entities, #World.score, sum))

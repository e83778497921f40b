---@meta scalloc

---The memory of the running state. What cannot be done gives nil and a message; wrong arguments raise errors.
---@class scalloc
---@field _VERSION string "scalloc X.Y.Z"
local scalloc = {}

---A name for what a block was made for; "other": arrays and hash parts of tables, stacks, code, buffers; "unknown": not noted.
---@alias scalloc.Tag "table"|"string"|"function"|"userdata"|"thread"|"upvalue"|"prototype"|"other"|"unknown"

---Figures of the heap. Limits are 0 where there is none.
---@class scalloc.Stats
---@field used integer bytes in use
---@field peak integer the most that has been in use
---@field committed integer bytes of pages that may be backed
---@field blocks integer live blocks
---@field soft_limit integer
---@field hard_limit integer
---@field max_block integer
---@field armed integer limits act while it is above 0
---@field spans_hot integer
---@field spans_floating integer
---@field spans_reusable integer
---@field spans_large integer
---@field refusals integer growths that were refused, also when Lua collected garbage and then had its way
---@field emergencies integer collections that a refusal brought about
---@field failures integer growths that were refused for good
---@field pressures integer times that the soft limit was crossed

---Blocks of one size and tag. In a difference the numbers of blocks and bytes may be negative.
---@class scalloc.Row
---@field size integer
---@field tag scalloc.Tag
---@field blocks integer
---@field bytes integer

---The live blocks of one moment, counted by size and tag.
---@class scalloc.Snapshot
local Snapshot = {}

---@return scalloc.Row[] rows most bytes first
function Snapshot:rows() end

---What there is more of than in an older snapshot; less of: negative.
---@param older scalloc.Snapshot
---@return scalloc.Row[] rows most bytes first
function Snapshot:diff(older) end

---@class scalloc.Site
---@field source string "file:line"
---@field bytes integer handed out in all
---@field live integer bytes that are live
---@field live_blocks integer

---A profile that is running.
---@class scalloc.Profile
local Profile = {}

---@param order? "bytes"|"live"
---@return scalloc.Site[]? sites
---@return string? message
function Profile:stop(order) end

---Do this state's new blocks come from scalloc?
---@return boolean
function scalloc.active() end

---Bytes in use, or in units of 1024 or 1048576.
---@param unit? "b"|"k"|"m"
---@return number? count
---@return string? message
function scalloc.count(unit) end

---The most that has been in use; true: from now on anew, unless sealed.
---@param reset? boolean
---@return integer? bytes
---@return string? message
function scalloc.peak(reset) end

---@param t? table to be filled
---@return scalloc.Stats? stats
---@return string? message
function scalloc.stats(t) end

---Live blocks by the size of their class; those above the largest under "large".
---@param t? table to be filled
---@return table<integer|"large", integer>? blocks
---@return string? message
function scalloc.histogram(t) end

---Live bytes and blocks by tag.
---@param bytes? table to be filled
---@param blocks? table to be filled
---@return table<scalloc.Tag, integer>? bytes
---@return table<scalloc.Tag, integer>|string blocks_or_message
function scalloc.tags(bytes, blocks) end

---Sets both limits in bytes; 0, nil and absent: none. Returns those before. Without any argument only returns them.
---@param hard? integer
---@param soft? integer
---@return integer? hard
---@return integer|string soft_or_message
function scalloc.limit(hard, soft) end

---Calls `f` as pcall does, with at most so many bytes more than are in use now.
---@param bytes integer
---@param f function
---@param ... any
---@return boolean? ok
---@return any ... results, or the error
function scalloc.withlimit(bytes, f, ...) end

---From now on this state's limits cannot be changed by scripts.
---@return true
function scalloc.seal() end

---Calls `f` as pcall does; after so many growths every one is refused. Nested calls: the fewest hold. Without `f` until failafter().
---@param growths? integer
---@param f? function
---@param ... any
---@return boolean? ok
---@return any ...
function scalloc.failafter(growths, f, ...) end

---Are the heaps of the process sound? Only while no other thread uses any; not when sealed.
---@return true? sound
---@return string? message
function scalloc.check() end

---A line of JSON for each live block, into a file or to a function.
---@param to string|fun(line: string)
---@return integer? blocks
---@return string? message
function scalloc.heapdump(to) end

---@return scalloc.Snapshot? snapshot
---@return string? message
function scalloc.snapshot() end

---Notes from now on which line allocates how much; `every`: looks at each n-th instruction, 1 is exact.
---@param settings? { every?: integer }
---@return scalloc.Profile? profile
---@return string? message
function scalloc.profile(settings) end

return scalloc

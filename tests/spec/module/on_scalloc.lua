--- The module under test, with the running state on scalloc: scalloc-lua is there already, other interpreters are put there.
--
-- These specs run in every Lua from 5.1 on, so they use what all of them have.

local scalloc = require "scalloc"

if not scalloc.active() then assert(scalloc.attach { stats = true }) end

return scalloc

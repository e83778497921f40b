-- What scalloc is to reach, as lines of a suite's results: the figure, the goal, and whether it is met. bench/document.lua
-- gathers them.

local goals = { TITLE = "Goals" }

local function line(what, value, word, limit, met)
  return ("- %s: %.3g, to be %s %g: %s"):format(what, value, word, limit, met and "met" or "**missed**")
end

function goals.at_most(what, value, limit) return line(what, value, "at most", limit, value <= limit) end

function goals.at_least(what, value, limit) return line(what, value, "at least", limit, value >= limit) end

-- The section of a table of lines.
function goals.section(lines, markdown)
  return (markdown and "## " or "") .. goals.TITLE .. "\n\n" .. table.concat(lines, "\n") .. "\n"
end

return goals

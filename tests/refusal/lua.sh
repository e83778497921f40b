#!/bin/sh
# scalloc-lua without memory: whatever the limit, a script ends as it should or with "not enough memory" and status 1.
#
#   lua.sh INTERPRETER
interpreter=$1
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
unset LUA_INIT LUA_INIT_5_4
failed=0 refused=0 served=0

# Each prints "done" when it could do its work.
cat >"$folder/table.lua" <<'END'
local t = {}
for i = 1, 300000 do t[i] = i end
print "done"
END
cat >"$folder/objects.lua" <<'END'
local t = {}
for i = 1, 40000 do t[i] = { i, name = "object " .. i, call = function() return i end } end
print "done"
END
cat >"$folder/string.lua" <<'END'
local s = "x"
while #s < 8 << 20 do s = s .. s end
print "done"
END
cat >"$folder/threads.lua" <<'END'
local t = {}
for i = 1, 5000 do t[i] = coroutine.wrap(function() coroutine.yield(i) end) t[i]() end
print "done"
END
cat >"$folder/finalizers.lua" <<'END'
local closed = 0
for i = 1, 30000 do setmetatable({ ("x"):rep(100) .. i }, { __gc = function() closed = closed + 1 end }) end
collectgarbage()
assert(closed > 0)
print "done"
END
cat >"$folder/handled.lua" <<'END'
for i = 1, 20 do
  local ok, message = pcall(function() return #("x"):rep(1 << 30) end)
  assert(not ok and message == "not enough memory", message)
end
print "done"
END

fault() {
  echo "FAILED: $*: status $status" >&2
  cat "$folder/out" "$folder/err" >&2
  failed=1
}

# judge WHAT: the run whose status and output lie there.
judge() {
  if [ "$status" = 0 ] && [ "$(cat "$folder/out")" = done ] && ! [ -s "$folder/err" ]; then
    served=$((served + 1))
  elif [ "$status" = 1 ] && ! [ -s "$folder/out" ] && grep -q 'not enough memory' "$folder/err"; then
    refused=$((refused + 1))
  else
    fault "$@"
  fi
}

for script in table objects string threads finalizers handled; do
  for kilobytes in 1 64 128 192 256 320 384 448 512 640 768 1024 1536 2048 3072 4096 6144 8192 12288 24576; do
    SCALLOC_LIMIT_BYTES=$((kilobytes * 1024)) timeout 60 "$interpreter" "$folder/$script.lua" >"$folder/out" 2>"$folder/err"
    status=$?
    judge "$script within $kilobytes KB"
  done
  for megabytes in 32 64 90 100 120 200 600; do # below about 90 there is no room for an arena
    (ulimit -v $((megabytes * 1024)) && exec timeout 60 "$interpreter" "$folder/$script.lua") >"$folder/out" 2>"$folder/err"
    status=$?
    judge "$script under ulimit -v of $megabytes MB"
  done
done

# A loop without end is ended by the limit, not by the system; what the script protected goes on.
cat >"$folder/endless.lua" <<'END'
local function grow() local t = {} while true do t[#t + 1] = ("x"):rep(1000) .. #t end end
for round = 1, 3 do
  local ok, message = pcall(grow)
  assert(not ok and message == "not enough memory", message)
end
print "done"
END
for limit in 4 16; do
  SCALLOC_LIMIT_BYTES=$((limit << 20)) timeout 60 "$interpreter" "$folder/endless.lua" >"$folder/out" 2>"$folder/err"
  status=$?
  [ "$status" = 0 ] && [ "$(cat "$folder/out")" = done ] || fault "endless within $limit MB"
done
(ulimit -v 153600 && exec timeout 60 "$interpreter" "$folder/endless.lua") >"$folder/out" 2>"$folder/err"
status=$?
[ "$status" = 0 ] && [ "$(cat "$folder/out")" = done ] || fault "endless under ulimit -v"

echo "$served scripts had what they wanted, $refused had a clean end without it"
[ "$refused" -ge 20 ] && [ "$served" -ge 20 ] || fault "too few of one kind"
exit $failed

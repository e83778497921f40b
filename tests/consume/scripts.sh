# The installed Lua module in the interpreters of the system, and hosts of the shared Lua that make their states on scalloc, as
# docs/lua.md says.
. "$(dirname "$0")/lib.sh"
[ -e "$prefix/lib/lua/5.4/scalloc.so" ] || exit 77
unset LUA_INIT LUA_INIT_5_4 LUA_INIT_5_3 LUA_PATH LUA_CPATH
[ -s "$prefix/share/scalloc/library/scalloc.lua" ] || complain 'the types for editors are not installed'
[ -s "$prefix/share/scalloc/config.json" ] || complain 'they are no addon: config.json is not installed'

cat >script.lua <<'END'
local scalloc = require "scalloc"
local t = {}
for i = 1, 100000 do t[i] = { i } end
print(scalloc.active(), scalloc.count() > 2000000, scalloc.check())
END
yes=$(printf 'true\ttrue\ttrue')
for interpreter in lua5.4 lua5.3 lua5.1 luajit; do
  have $interpreter || continue
  version=$($interpreter -e 'io.write(_VERSION:sub(5))')
  [ -e "$prefix/lib/lua/$version/scalloc.so" ] || continue
  prints "$yes" env LUA_CPATH="$prefix/lib/lua/$version/?.so" LUA_INIT='require"scalloc".attach{}' $interpreter script.lua
done

if have cc && have pkg-config && pkg-config --exists lua5.4; then
  must cc "$source/tests/module/host.c" $(pkg-config --cflags --libs lua5.4) -o host
  prints 'true true true ' env LUA_CPATH="$prefix/lib/lua/5.4/?.so" LD_PRELOAD="$prefix/lib/libscalloc_lua_preload.so" \
    ./host 'io.write(tostring(require "scalloc".active()), " ")'
fi
exit $failed

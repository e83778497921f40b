#!/bin/sh
# rock.sh ROOT LUAROCKS: the rockspec names every source, and the rock built of them works in each Lua whose headers are here: 5.1,
# 5.3, 5.4 and LuaJIT.
root=$1 luarocks=$2
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
cd "$root" || exit 1
rockspec=$(echo lua_alloc/module/*.rockspec)

missing=0
for file in scalloc/*.c lua_alloc/lua_*.c lua_alloc/module/*.c; do
  [ "$file" = lua_alloc/lua_preload.c ] && continue
  grep -qF "\"$file\"" "$rockspec" || { echo "$rockspec: $file is not in its list of sources"; missing=1; }
done
[ $missing = 0 ] || exit 1
version=$(sed -n 's/^project(scalloc VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
grep -qF "version = \"$version-1\"" "$rockspec" || { echo "$rockspec: not version $version"; exit 1; }
unset LUA_INIT LUA_INIT_5_4 LUA_INIT_5_3 LUA_PATH LUA_CPATH

# rock INTERPRETER HEADERS: builds it for this one alone, and has it serve a state
rock() {
  command -v "$1" >/dev/null && [ -e "$2/lua.h" ] || { echo "no $1 with headers in $2: left out"; return; }
  number=$("$1" -e 'io.write(_VERSION:sub(5))')
  mkdir "$folder/$1" && cp -R scalloc lua_alloc "$folder/$1" || exit 1
  (cd "$folder/$1" && "$luarocks" make --lua-version "$number" --tree "$folder/$1/tree" LUA_INCDIR="$2" CFLAGS="-O0 -fPIC" \
    "$rockspec") >"$folder/$1.log" 2>&1 || { cat "$folder/$1.log"; echo "no rock for $1" | tee "$folder/failed"; return; }
  LUA_CPATH="$folder/$1/tree/lib/lua/$number/?.so" LUA_INIT="require 'scalloc'.attach{}" "$1" -e '
local scalloc = require "scalloc"
local t = {}
for i = 1, 1e5 do t[i] = { i } end
assert(scalloc.active() and scalloc.count() > 1000000 and scalloc.check())' ||
    echo "the rock does not work in $1" | tee "$folder/failed"
}

headers=/usr/include
for number in 5.4 5.3 5.1; do rock lua$number $headers/lua$number & done
rock luajit $(pkg-config --variable=includedir luajit 2>/dev/null)
wait
[ ! -e "$folder/failed" ]

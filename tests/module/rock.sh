#!/bin/sh
# rock.sh ROOT LUAROCKS: the rockspec names every source, and the rock built of them works in lua5.4.
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

cp -R scalloc lua_alloc "$folder" && cd "$folder" || exit 1
"$luarocks" make --lua-version 5.4 --tree "$folder/tree" CFLAGS="-O0 -fPIC" "$rockspec" >log 2>&1 || { cat log; exit 1; }
unset LUA_INIT LUA_INIT_5_4
LUA_CPATH="$folder/tree/lib/lua/5.4/?.so" LUA_INIT="require 'scalloc'.attach{}" lua5.4 -e '
local scalloc = require "scalloc"
local t = {}
for i = 1, 1e5 do t[i] = { i } end
assert(scalloc.active() and scalloc.count() > 1000000 and scalloc.check())'

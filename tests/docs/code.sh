# The code in README.md and docs/, but for docs/lua.md, which docs.lua and tests/spec run: sh code.sh SOURCE BUILD COMPILER
# LIBRARY... C blocks are compiled without a warning, as they are if they have a main, which is then run too, else as the
# statements of a function; sh blocks have the syntax of sh and name scripts that are there.
source=$1 build=$2 compiler=$3
shift 3
work=$build/docs-code
rm -rf "$work"
mkdir -p "$work" && cd "$work" || exit 1

# Each block becomes NAME.LINE.c or .sh
for document in "$source"/README.md "$source"/docs/*.md; do
  [ "$(basename "$document")" = lua.md ] && continue
  awk -v name="$(basename "$document" .md)" '
    /^```/ { if (file) { close(file); file = ""; next } if ($0 == "```c" || $0 == "```sh") { file = name "." NR "." substr($0, 4); next } }
    file { print > file }' "$document"
done

failed=0
complain() { echo "FAILED: $1"; cat log; failed=1; }
include="-I$source/scalloc/include -I$source/lua_alloc/include -I$source/runtime_glue/include"
[ -d /usr/include/lua5.4 ] && include="$include -isystem /usr/include/lua5.4"
blocks=0
for block in *.c; do
  blocks=$((blocks + 1))
  grep -q 'gc\.h\|GC_\|boehm' "$block" && [ ! -e /usr/include/gc.h ] && continue
  grep -q 'lua' "$block" && [ ! -d /usr/include/lua5.4 ] && continue
  if grep -q 'int main(' "$block"; then
    "$compiler" -std=c11 -Wall -Wextra -Wpedantic -Werror $include "$block" -o "$block.out" "$@" >log 2>&1 || { complain "$block"; continue; }
    "./$block.out" >log 2>&1 || complain "$block, run"
  else
    {
      printf '#include <%s>\n' stdio.h stdlib.h string.h scalloc/scalloc.h scalloc/runtime_glue.h scalloc/lua_alloc.h
      grep -q 'GC_' "$block" && printf '#include <%s>\n' gc.h scalloc/boehm.h
      grep '^#include' "$block"
      echo 'struct entry { void *object; }; struct pair { void *first, *second; };'
      echo 'void block(void); void block(void) {'
      grep -v '^#include' "$block"
      echo '}'
    } >"whole_$block"
    "$compiler" -std=gnu11 -Wall -Wextra -Werror -Wno-unused -fsyntax-only $include "whole_$block" >log 2>&1 || complain "$block"
  fi
done
for block in *.sh; do
  blocks=$((blocks + 1))
  sh -n "$block" >log 2>&1 || complain "$block"
  : >log
  for script in $(grep -o '\<sh [a-z_]*/[a-z_/.]*' "$block" | sed 's/^sh //') $(grep -o '\<bench/run\>' "$block"); do
    [ -f "$source/$script" ] || complain "$block: there is no $script"
  done
done
[ "$blocks" -ge 7 ] || { echo "only $blocks blocks were found"; failed=1; }
exit $failed

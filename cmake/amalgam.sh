#!/bin/sh
# The core as one source and one header: sh cmake/amalgam.sh FOLDER SOURCE... writes FOLDER/scalloc.c and FOLDER/scalloc.h.
#
# Each private header is put in where it is first included. A name that two sources use for something static of their own gets
# the name of its source in front, by a macro that ends with the source, as do the macros that a source defines.
[ $# -ge 2 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
out=$1
shift
core=$(CDPATH='' cd -- "$(dirname -- "$0")/../scalloc" && pwd) || exit 1
mkdir -p "$out" || exit 1

# Names of what is static in the files.
static_names() {
  sed -n 's/^\(static\|thread_word\|never_inline static\|_Noreturn static\) [^(=;[]*[ *]\([a-z_0-9]*\)\( = .*\|(.*\|;.*\|\[.*\)$/\2/p' "$@" | sort -u
}
for source in "$@"; do static_names "$source"; done | sort | uniq -d >"$out/twice"

{
  echo '/* scalloc: the core in one file, made by cmake/amalgam.sh. Compile it with: cc -O2 -c scalloc.c */'
  echo '#ifndef _GNU_SOURCE'
  echo '#define _GNU_SOURCE'
  echo '#endif'
  echo '#pragma GCC diagnostic ignored "-Wunused-function" /* inline functions of headers, which Clang takes for this file'"'"'s own */'
  for source in "$@"; do
    module=$(basename "$source" .c)
    echo
    echo "@headers $source"
    static_names "$source" | grep -Fx -f "$out/twice" | sed "s/.*/#define & ${module}_&/"
    echo "@body $source"
    { static_names "$source" | grep -Fx -f "$out/twice"; sed -n 's/^#define \([A-Za-z_0-9]*\).*/\1/p' "$source"; } | sed 's/^/#undef /'
  done
} >"$out/plan"

# headers: of a source, what it includes; body: the rest of it.
awk -v core="$core" '
  function local(line) { return line ~ /^#include "/ }
  # A stack of the files that are being read, the innermost last.
  function emit(source, depth, line, name) {
    stack[depth = 1] = source
    while (depth > 0) {
      if ((getline line < stack[depth]) <= 0) { close(stack[depth]); depth--; continue }
      name = ""
      if (line ~ /^#include "scalloc\/scalloc.h"/) print "#include \"scalloc.h\""
      else if (line ~ /^#include <atomic_ops.h>/ && stack[depth] !~ /amalgam/) name = "../cmake/amalgam_atomics.h"
      else if (local(line)) { name = line; sub(/^#include "/, "", name); sub(/".*/, "", name) }
      else if (depth > 1) print line
      if (name != "" && !(name in seen)) { seen[name] = 1; stack[++depth] = core "/" name }
    }
  }
  function body(file, line) {
    while ((getline line < file) > 0) if (!local(line)) print line
    close(file)
  }
  $1 == "@headers" { emit($2); next }
  $1 == "@body" { body($2); next }
  { print }' "$out/plan" >"$out/scalloc.c" && cp "$core/include/scalloc/scalloc.h" "$out/scalloc.h" || exit 1
rm -f "$out/plan" "$out/twice"

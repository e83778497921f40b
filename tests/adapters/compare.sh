#!/bin/sh
# usage: compare.sh PROGRAM [OPTION...]
# PROGRAM must succeed on scalloc and on its host's own allocator (--plain), and print the same results on both.
program=$1
shift
on_scalloc=$(mktemp) && plain=$(mktemp) || exit 1
trap 'rm -f "$on_scalloc" "$plain"' EXIT
"$program" "$@" >"$on_scalloc" || { echo "on scalloc: status $?"; cat "$on_scalloc"; exit 1; }
"$program" "$@" --plain >"$plain" || { echo "on the host's own allocator: status $?"; exit 1; }
cat "$on_scalloc"
grep '^result: ' "$on_scalloc" | cmp - "$plain" || exit 1
[ "$(wc -w <"$plain")" -gt 5 ] || { echo "no results to compare: $(cat "$plain")"; exit 1; }

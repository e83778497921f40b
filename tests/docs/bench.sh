#!/bin/sh
# bench.sh ROOT: docs/bench.md is what bench/document.lua makes of bench/results.
cd "$1" || exit 1
page=$(mktemp) || exit 1
trap 'rm -f "$page"' EXIT
lua5.4 bench/document.lua bench/results "$page" || exit 1
diff -u docs/bench.md "$page" || { echo "docs/bench.md is not of these results: run lua5.4 bench/document.lua" >&2; exit 1; }

#!/bin/sh
# usage: docs.sh SOURCE BUILD
# The commands of docs/tuning.md, "Seeing the heap", as they stand there, where build/ is the build folder.
source=$1 build=$2 failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" && ln -s "$build" build || exit 1
awk '/^## / { inside = /Seeing the heap/ } /^```/ { code = !code && inside && $0 == "```sh"; next } code' "$source/docs/tuning.md" |
  grep -v bpftrace >block.sh # which needs a kernel with uprobes, and root
command -v google-pprof >/dev/null || sed -i /google-pprof/d block.sh
[ "$(grep -c scalloc-top block.sh)" -ge 3 ] || { echo "the block is not there"; exit 1; }
sh -ex block.sh >out 2>err || { cat err; exit 1; }
grep -q '^process [0-9]*  .*sleep 60' out || failed=1
grep -q '^{"pid":' out || failed=1
[ "$(grep -c '^process [0-9]*  .*sleep 60' out)" = 2 ] || failed=1 # of the process and of the picture that was kept
grep -q '^scalloc_live_bytes{' out || failed=1
grep -q 'Heap map of perl' map.html || failed=1
grep -q '^heap profile: ' perl.heap || failed=1
grep -q '.*;Perl_runops_standard;.* [0-9]*$' perl.collapsed || failed=1
! command -v google-pprof >/dev/null || [ -s perl.txt ] || failed=1
[ $failed = 0 ] || cat out err
exit $failed

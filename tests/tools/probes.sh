#!/bin/sh
# usage: probes.sh ROOT PROGRAM LIBRARY...
# Each library has the notes of every probe, which docs/tuning.md describes; a debugger stops at each in PROGRAM (probes_subject.c).
root=$1 program=$2 failed=0
shift 2
command -v readelf >/dev/null || { echo "no readelf"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export HOME="$work"

probes='arena_grow mail out_of_memory purge refill span_put span_steal span_take'
for library in "$program" "$@"; do
  found=$(readelf -n "$library" | awk '$1 == "Provider:" { ours = $2 == "scalloc" } ours && $1 == "Name:" { print $2 }' | sort -u | tr '\n' ' ')
  [ "$found" = "$probes " ] || { echo "$library has the probes: $found"; failed=1; }
done
for probe in $probes; do
  grep -q "^| .scalloc:$probe. |" "$root/docs/tuning.md" || { echo "docs/tuning.md does not describe $probe"; failed=1; }
  printf 'tbreak -probe-stap scalloc:%s\ncommands\nsilent\nprintf "at %s %%lu %%lu\\n", $_probe_arg0, $_probe_arg1\ncontinue\nend\n' \
    $probe $probe >>"$work/stops"
done
command -v gdb >/dev/null || exit $failed
echo run >>"$work/stops"
gdb -q -nx -batch -ex 'set pagination off' -ex 'set breakpoint pending off' -x "$work/stops" "$program" >"$work/out" 2>&1
[ "$(nproc)" -gt 1 ] || probes=$(echo "$probes" | sed 's/ span_steal//') # with one stack nobody takes from another's
for probe in $probes; do grep -qE "^at $probe [0-9]+ [0-9]+$" "$work/out" || { echo "never at $probe"; failed=1; }; done
grep -qE '^at out_of_memory 67108864 ' "$work/out" || { echo "not the size that there was no memory for"; failed=1; }
grep -qE '^at refill 1024 ' "$work/out" || { echo "not the size of the blocks"; failed=1; }
[ $failed = 0 ] || cat "$work/out"
exit $failed

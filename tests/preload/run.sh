#!/bin/sh
# usage: run.sh RUN
# The command line of scalloc-run: usage, exit codes, what is passed through, where it finds its library.
run=$1 failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
unset LD_PRELOAD SCALLOC_STATS SCALLOC_LIMIT_BYTES

# expect CODE PATTERN COMMAND...: exit code, and a line of the output (both streams) that matches; PATTERN '' : no output
expect() {
  code=$1 pattern=$2
  shift 2
  "$@" >"$work/out" 2>&1
  got=$?
  if [ $got != "$code" ]; then
    echo "$*: exit $got, not $code"; cat "$work/out"; failed=1
  elif [ -n "$pattern" ] && ! grep -q -e "$pattern" "$work/out"; then
    echo "$*: no line matches '$pattern':"; cat "$work/out"; failed=1
  elif [ -z "$pattern" ] && [ -s "$work/out" ]; then
    echo "$*: says something:"; cat "$work/out"; failed=1
  fi
}

usage='^usage: scalloc-run '
expect 0 "$usage" "$run" --help
expect 2 "$usage" "$run"
expect 2 "$usage" "$run" --stats
expect 2 "$usage" "$run" --nonsense ls
expect 2 "$usage" "$run" -x
for size in '' 0 -1 x 1x 1KB 1T 99999999999999999999 9999999999G; do expect 2 "$usage" "$run" "--limit=$size" true; done
expect 127 'nowhere: No such file' "$run" nowhere
expect 127 'No such file' "$run" "$work/nowhere"
expect 126 'Permission denied' "$run" "$work"
: >"$work/plain" && expect 126 'Permission denied' "$run" "$work/plain"

expect 0 '' "$run" true
expect 1 '' "$run" false
expect 37 '' "$run" sh -c 'exit 37'
expect 143 Terminated sh -c '"$0" sh -c "kill -TERM \$\$"' "$run"
expect 0 '^<a b><><-c>$' "$run" -- sh -c 'printf "<%s><%s><%s>\n" "$@"' sh 'a b' '' -c
expect 0 'libscalloc_preload.so' "$run" cat /proc/self/maps
expect 0 'libscalloc_preload_checked.so' "$run" --checked cat /proc/self/maps
expect 0 '^{"arena"' "$run" --stats perl -e 1
expect 0 '^{"arena"' "$run" --stats=json perl -e 1
expect 0 '^scalloc: [0-9]* bytes live, ' "$run" --stats=text perl -e 1
expect 0 '^scalloc_live_bytes [0-9]*$' "$run" --stats=prometheus perl -e 1
for format in '' xml jsonx 1; do expect 2 "$usage" "$run" "--stats=$format" true; done
expect 0 '"limit":3221225472}' "$run" --stats --limit=3G perl -e 1
expect 0 '"limit":65536000}' "$run" --stats --limit=64000K perl -e 1
# The process is that of the program, and what it starts is served, too.
"$run" sh -c 'echo $$' >"$work/number" & wait $!
[ "$(cat "$work/number")" = $! ] || { echo "the program is another process"; failed=1; }
expect 0 'libscalloc_preload.so' "$run" sh -c 'sh -c "cat /proc/self/maps; :"'
# What was preloaded already stays, behind.
expect 0 'libscalloc_preload.so:/.*libpreload_wrong.so$' env LD_PRELOAD="$(dirname "$run")/../lib/libpreload_wrong.so" "$run" sh -c 'echo $LD_PRELOAD' 
# It finds its library from where it lies, also through a link; without one it says so.
mkdir -p "$work/a/bin" "$work/a/lib" && cp "$run" "$work/a/bin/" && cp "$(dirname "$run")/../lib/libscalloc_preload.so" "$work/a/lib/"
expect 0 "$work/a/lib/libscalloc_preload.so" "$work/a/bin/scalloc-run" cat /proc/self/maps
ln -s "$work/a/bin/scalloc-run" "$work/link" && expect 0 "$work/a/lib/libscalloc_preload.so" "$work/link" cat /proc/self/maps
expect 125 'not found' "$work/a/bin/scalloc-run" --checked true
mv "$work/a" "$work/a b" && expect 125 'space' "$work/a b/bin/scalloc-run" true
exit $failed

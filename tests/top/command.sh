#!/bin/sh
# usage: command.sh TOP RUN WAITS LINKED STATIC LOAD [SCALLOC-LUA]
# The command line of scalloc-top: usage, exit codes, messages; processes on scalloc in every way; one that is hard at work.
top=$1 run=$2 waits=$3 linked=$4 static=$5 load=$6 lua=${7-} failed=0
work=$(mktemp -d) || exit 1
children=
trap 'exec 9>&-; [ -z "$children" ] || kill $children 2>/dev/null; rm -rf "$work"' EXIT
unset LD_PRELOAD
export SCALLOC_GUARD_SAMPLE=0 # of the checked library: every block is one of its class

# expect CODE PATTERN COMMAND...: exit code, and a line of the output (both streams) that matches
expect() {
  code=$1 pattern=$2
  shift 2
  "$@" >"$work/out" 2>&1
  got=$?
  if [ $got != "$code" ] || ! grep -q -e "$pattern" "$work/out"; then
    echo "$*: exit $got, not $code, or no line matches '$pattern':"; cat "$work/out"; failed=1
  fi
}

# start COMMAND...: in the background, until the pipe that keeps it waiting is closed; its number is $pid
mkfifo "$work/hold" || exit 1
exec 9<>"$work/hold"
start() {
  : >"$work/said"
  "$@" <"$work/hold" >"$work/said" 9>&- &
  pid=$!
  children="$children $pid"
  for i in $(seq 200); do grep -q ready "$work/said" && return; sleep 0.05; done
  echo "$* is not ready"; failed=1
}

usage='^usage: scalloc-top '
expect 0 "$usage" "$top" --help
for wrong in '' --once --nonsense '-x 1' 0 -1 99999999999999999999 '1 2' '--interval 1' '--interval=0 1' '--interval=x 1' \
  '--interval=1s 1' '--interval=nan 1' '--html= 1' '--html 1' '--json= 1' '--prometheus= 1' \
  '--json --html=x 1' '--prometheus --json 1' '1 map.json' 'map.json 1'; do
  expect 2 "$usage" "$top" $wrong
done

sleep 100 9>&- & gone=$!
kill $gone; wait $gone 2>/dev/null
expect 1 "^scalloc-top: process $gone: there is no such process" "$top" --once $gone
sh -c 'exec sleep 0.01 & exec sleep 100' 9>&- & parent=$!
children="$children $parent"
sleep 0.3
zombie=$(ps -o pid= --ppid $parent 2>/dev/null | tr -d ' ')
[ -z "$zombie" ] || expect 1 'there is no such process' "$top" --once $zombie
start "$waits"
expect 1 'does not run on scalloc' "$top" --once $pid
expect 1 'does not run on scalloc' "$top" $pid

# every way into a process: a thousand blocks of 2000 bytes
for way in "$run $waits" "$run --checked $waits" "$linked" "$static"; do
  start $way
  expect 0 '^ *2048 .* 1000 ' "$top" --once $pid
  expect 0 '"room":' "$top" --once --json $pid
  expect 0 "^process $pid  .*waits" "$top" --once $pid
done
if [ -n "$lua" ]; then
  start "$lua" -e 't = {} for i = 1, 1000 do t[i] = ("x"):rep(2000) .. i end print "ready" io.read()'
  expect 0 '^ *2048 ' "$top" --once $pid
fi
if [ "$(id -u)" = 0 ] && setpriv --reuid=65534 --clear-groups true 2>/dev/null; then
  cp "$top" "$work/top" && chmod 755 "$work" "$work/top"
  expect 1 'may not be read' setpriv --reuid=65534 --clear-groups "$work/top" --once $pid
fi

expect 0 '^<title>Heap map: ' sh -c '"$0" --html="$1" $2 && cat "$1"' "$top" "$work/page.html" $pid
expect 1 'No such file' "$top" "--html=$work/none/page.html" $pid
[ ! -w /dev/full ] || expect 1 'standard output' sh -c '"$0" --once $1 >/dev/full' "$top" $pid

# pictures one after the other, until the process ends
"$top" --json --interval=0.1 $pid >"$work/pictures" 9>&- & shown=$!
sleep 0.5
exec 9>&- # ends all that wait
wait $pid
wait $shown || { echo "it minds the end of the process"; failed=1; }
[ "$(grep -c '^{"pid".*}$' "$work/pictures")" -ge 3 ] || { echo "too few pictures:"; cat "$work/pictures"; failed=1; }

# At work: figures of different moments, but none that cannot be.
"$run" "$load" 400 2 9>&- & pid=$!
children="$children $pid"
for i in $(seq 100); do "$top" --once $pid >/dev/null 2>&1 && break; done
"$top" --json --interval=0.1 $pid >"$work/pictures" || { echo "status $? with a process at work"; failed=1; }
wait $pid || { echo "the process at work minded"; failed=1; }
awk '
  function of(text, from, key,   rest) {
    rest = substr(text, index(text, from))
    rest = substr(rest, index(rest, "\"" key "\":") + length(key) + 3)
    return rest + 0
  }
  {
    opened = of($0, "\"arena\"", "spans_opened"); sum = 0
    n = split("hot floating reusable nursery large lent free purged", states, " ")
    at = substr($0, index($0, "\"states\""))
    for (i = 1; i <= n; i++) {
      name = "\"" states[i] "\":{"; spans = of(at, name, "spans"); sum += spans
      if (of(at, name, "live") > spans * 2097152 || of(at, name, "committed") > spans * 2097152) { print "impossible: " $0; bad = 1 }
    }
    if (sum != opened) { print sum " spans of " opened ": " $0; bad = 1 }
  }
  END { if (NR < 3) print NR " pictures"; exit bad || NR < 3 }' "$work/pictures" || failed=1
exit $failed

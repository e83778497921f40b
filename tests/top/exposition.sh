#!/bin/sh
# usage: exposition.sh TOP RUN
# What scalloc-top --prometheus and scalloc-run --stats=prometheus write is Prometheus' text format; and the checker, exposition.awk,
# finds what is none.
top=$1 run=$2 failed=0
check=$(dirname "$0")/exposition.awk
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset LD_PRELOAD
complain() { echo "$*"; failed=1; }
busy='@a = map { "x" x (10 * ($_ % 300)) } 1 .. 10000; $b = "y" x 5e6'

"$run" --stats=prometheus perl -e "$busy" 2>stats || complain "scalloc-run --stats=prometheus: status $?"
awk -f "$check" stats || failed=1
"$run" --heap-map=exit.prom perl -e "$busy" && awk -f "$check" exit.prom || failed=1
"$run" --heap-map=exit.json perl -e "$busy" && "$top" --prometheus exit.json >from && awk -f "$check" from || failed=1
"$top" --prometheus=into exit.json && cmp from into || complain "not the same in a file"

# The figures are those of the picture.
sum=$(sed -n 's/.*"heap":{"spans":\([0-9]*\),"blocks":\([0-9]*\),"room":[0-9]*,"live":\([0-9]*\),"committed":\([0-9]*\),.*/\1 \2 \3 \4/p' exit.json)
told=$(awk '/^scalloc_arena_spans_opened/ { spans = $2 } /^scalloc_live_blocks/ { blocks = $2 } /^scalloc_live_bytes/ { live = $2 }
  /^scalloc_committed_bytes/ { print spans, blocks, live, $2 }' from)
[ "$sum" = "$told" ] || complain "figures: '$told', not '$sum'"
awk '/^scalloc_spans\{/ { states += $2 } /^scalloc_arena_spans_opened/ { all = $2 } END { exit states != all }' from ||
  complain "the states are not all spans"

# refuses WHY SCRIPT: a text that sed has spoilt
refuses() {
  sed "$2" from >spoilt
  cmp -s from spoilt && complain "$1: nothing was spoilt"
  awk -f "$check" spoilt >/dev/null && complain "the checker does not see $1"
}
refuses 'a sample twice' '/^scalloc_live_bytes/p'
refuses 'a name that cannot be' 's/^scalloc_live_bytes/scalloc-live_bytes/'
refuses 'a missing TYPE' '/^# TYPE scalloc_live_bytes/d'
refuses 'a missing HELP' '/^# HELP scalloc_live_bytes/d'
refuses 'a missing sample' '/^scalloc_live_bytes/d'
refuses 'a family twice' 's/scalloc_live_bytes/scalloc_committed_bytes/'
refuses 'a broken label' 's/state="hot"/state=hot/'
refuses 'a figure that is none' 's/^\(scalloc_live_bytes.*\) .*/\1 many/'
exit $failed

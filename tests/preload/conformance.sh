#!/bin/sh
# usage: conformance.sh RUN PROGRAM [OVERRIDDEN PROGRAM... | --control LIBRARY]
# The output of PROGRAM on glibc's malloc, on scalloc (RUN is scalloc-run) and on its checked library must be the same, and so
# must that of each program that has the replacement linked into it. --control: with this library preloaded it must not be.
run=$1 program=$2
shift 2
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
status=0

# same NAME COMMAND...: prints what is not.
same() {
  name=$1
  shift
  "$@" >"$work/out" 2>"$work/err"
  code=$?
  if [ $code != 0 ]; then
    echo "$name: exit $code"; cat "$work/err"; status=1
  fi
  diff "$work/glibc" "$work/out" >"$work/diff" || { echo "$name differs from glibc:"; head -n 20 "$work/diff"; status=1; }
}

"$program" >"$work/glibc" || { echo "on glibc: exit $?"; exit 1; }
lines=$(wc -l <"$work/glibc")
[ "$lines" -ge 30 ] || { echo "only $lines lines of output"; exit 1; }
! grep '[A-Z][A-Z][A-Z] *[A-Z]*' "$work/glibc" | grep 'NOT\|WRONG\|CHANGED\|TOO SMALL\|ALWAYS\|NEGATIVE\|MORE THAN' || exit 1

if [ "$1" = --control ]; then
  LD_PRELOAD=$2 "$program" >"$work/out"
  ! cmp -s "$work/glibc" "$work/out" || { echo "the fault was not seen"; exit 1; }
  echo "the fault is seen"
  exit 0
fi

same preloaded "$run" --stats "$program"
grep -q '^{"arena"' "$work/err" || { echo "preloaded: no statistics: was it scalloc?"; status=1; }
same checked "$run" --checked --stats "$program"
grep -q '^{"arena"' "$work/err" || { echo "checked: no statistics: was it scalloc?"; status=1; }
for linked in "$@"; do
  same "$linked" env SCALLOC_STATS=1 "$linked"
  grep -q '^{"arena"' "$work/err" || { echo "$linked: no statistics: was it scalloc?"; status=1; }
done
[ $status = 0 ] && echo "$lines lines, no difference"
exit $status

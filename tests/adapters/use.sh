#!/bin/sh
# usage: use.sh PROGRAM
# Options as --help tells them: one line and status 2 for bad ones, one line of output with --brief, one fault one status 1.
program=$1
fail() { echo "$*"; exit 1; }

"$program" --help | grep -q '^usage: .*--plain' || fail "no usage"
for bad in --work=0 --work=1001 --work=x --limit=-1 --limit=3 --limit= --other word; do
  said=$("$program" $bad 2>&1 >/dev/null)
  [ $? = 2 ] || fail "$bad: not status 2"
  echo "$said" | head -n 1 | grep -qF -e "$bad" || fail "$bad is not named: $said"
done
[ "$("$program" --work=2 --brief | wc -l)" = 1 ] || fail "not one line"

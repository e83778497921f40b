#!/bin/sh
# usage: use.sh PROGRAM LIMIT...
# Options as --help tells them: status 2 for bad ones, which are named, one line of output with --brief; PROGRAM succeeds, short of
# memory at each LIMIT.
program=$1
shift
fail() { echo "$*"; exit 1; }

"$program" --help | grep -q '^usage: .*--plain' || fail "no usage"
for bad in --work=0 --work=1001 --work=x --limit=-1 --limit=3 --limit= --other word; do
  said=$("$program" $bad 2>&1 >/dev/null)
  [ $? = 2 ] || fail "$bad: not status 2"
  echo "$said" | head -n 1 | grep -qF -e "$bad" || fail "$bad is not named: $said"
done
[ "$("$program" --work=2 --brief | wc -l)" = 1 ] || fail "not one line"
for limit in "$@"; do
  "$program" --work=2 --brief "--limit=$limit" | grep 'short of memory.*nothing is left$' || fail "limit $limit"
done

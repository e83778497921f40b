#!/bin/sh
# usage: valgrind.sh VALGRIND PROGRAM NAME [WORDS...]
# Under memcheck PROGRAM NAME must end with the status of a found error, and each of the WORDS must be in its report. Without
# WORDS nothing may be found, no leak either.
valgrind=$1 program=$2 name=$3
shift 3
said=$(mktemp) || exit 1
trap 'rm -f "$said"' EXIT
"$valgrind" --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite "$program" "$name" 2>"$said"
status=$?
expected=99
[ $# = 0 ] && expected=0
for words in "$@"; do
  grep -q -e "$words" "$said" || { echo "not in the report: $words"; expected=; }
done
[ "$status" = "$expected" ] && exit 0
echo "status $status"
head -n 60 "$said"
exit 1

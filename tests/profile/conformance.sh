#!/bin/sh
# usage: conformance.sh RUN PROGRAM...
# Programs that test the malloc replacement find nothing else with a sample in every kilobyte, but that it is slower.
run=$1 failed=0
shift
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export SCALLOC_PROFILE_INTERVAL=1024
for program in "$@"; do
  "$run" --profile="$work/profile" "$program" >"$work/out" 2>&1 || { echo "$program: status $?"; tail -n 20 "$work/out"; failed=1; }
  [ -s "$work/profile" ] || { echo "$program: no profile"; failed=1; }
done
exit $failed

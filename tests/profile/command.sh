#!/bin/sh
# usage: command.sh RUN TWO_SITES LOAD
# scalloc-run --profile: usage, what pprof makes of the file, threads, a process that starts others, one that has no file.
run=$1 two_sites=$2 load=$3 failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset LD_PRELOAD
complain() { echo "$*"; failed=1; }
is_profile() { head -n 1 "$1" | grep -q '^heap profile: [0-9]*: [0-9]* \[[0-9]*: [0-9]*\] @ heapprofile$' && grep -q '^MAPPED_LIBRARIES:$' "$1"; }

"$run" --checked --profile=x true 2>err
[ $? = 2 ] && grep -q -e '--checked or --profile' err || complain "both of --checked and --profile"
"$run" --profile= true 2>err
[ $? = 2 ] || complain "no name of a file"
"$run" --profile=none/x true 2>err
[ $? = 125 ] || complain "a folder that is not there"

export SCALLOC_PROFILE_INTERVAL=16384
"$run" --profile=one.heap perl -e 'system "perl -e 1"; $x = "y" x 3e6; exit 7'
[ $? = 7 ] || complain "the exit status is lost"
is_profile one.heap || complain "no profile: $(head -n 3 one.heap)"
"$run" --profile=many%p.heap perl -e 'system "exec perl -e 1"'
[ "$(ls many*.heap | wc -l)" = 2 ] || complain "not a profile for each process: $(ls)"
"$run" --profile=threads.heap "$load" 100 4 >/dev/null || complain "a program with threads fails"
is_profile threads.heap || complain "no profile of threads"
# What was all freed is not live: at most what threads keep to the end.
live=$(sed -n '1s/^heap profile: [0-9]*: \([0-9]*\) .*/\1/p' threads.heap)
all=$(sed -n '1s/.*\[[0-9]*: \([0-9]*\)\].*/\1/p' threads.heap)
[ "$all" -gt 80000000 ] && [ "$live" -lt $((all / 100)) ] || complain "$live bytes live of $all"
"$run" --profile=gone/x.heap perl -e 1 2>err || :
mkdir gone && "$run" --profile=gone/x.heap perl -e 'rmdir "gone"; exit 3' 2>err
[ $? = 3 ] && grep -q '^scalloc: profile .*gone/x.heap: No such file' err || complain "a file that cannot be written: $(cat err)"
LD_PRELOAD=$(dirname "$run")/../lib/libscalloc_preload_profile.so perl -e 'print 5' >out 2>&1
[ "$(cat out)" = 5 ] || complain "the library without a file: $(cat out)"

# Folded stacks: what is known of the program, within five deviations, and functions of a library by their names.
"$run" --profile=sites.collapsed "$two_sites" work >/dev/null || complain "folded stacks: status $?"
awk '!/^[^; ]+(;[^; ]+)* [0-9]+$/ { print "no folded stack: " $0; bad = 1 }
  { sum += $2 } /;libc.so.6|;__libc_start/ { named += $2 }
  END { if (sum < 101e6 || sum > 115e6 || named < sum / 2) { print sum " bytes, not 108 MB, or " named " by way of libc"; bad = 1 } exit bad }' \
  sites.collapsed || failed=1

# Nothing in a name makes another line, another frame, or other fields.
odd=$(printf 'two\nsites;x\t y\177')
cp "$two_sites" "$odd" && "$run" --profile=odd.collapsed "./$odd" work >/dev/null || complain "an odd name: status $?"
awk '!/^[^; ]+(;[^; ]+)* [0-9]+$/ { print "no folded stack: " $0; bad = 1 } /;two_sites_x__y_\+0x[0-9a-f]+/ { named++ }
  END { exit bad || !named }' odd.collapsed || { complain "an odd name"; head -n 3 odd.collapsed; }

if command -v google-pprof >/dev/null; then
  "$run" --profile=sites.heap "$two_sites" work >/dev/null
  google-pprof --text --cum --inuse_space "$two_sites" sites.heap >table 2>/dev/null
  for site in take_small take_big; do grep -q " $site\$" table || complain "pprof does not know $site: $(cat table)"; done
  google-pprof --collapsed --inuse_space "$two_sites" sites.heap 2>/dev/null | grep -q '^.*take_small.* [0-9]*$' || complain "no collapsed stacks"
else
  echo "google-pprof is not installed: nobody has read the file"
fi
exit $failed

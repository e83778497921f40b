#!/bin/sh
# usage: exit.sh RUN WAITS
# scalloc-run --heap-map: a page at each exit, whose status and output stay those of the program; none without an exit.
run=$1 waits=$2 failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset LD_PRELOAD
complain() { echo "$*"; failed=1; }
page() { [ -s "$1" ] && grep -q '^</html>$' "$1" && grep -q "Heap map of .*$2" "$1" && grep -q 'at its end' "$1" || complain "no page of $2 in $1"; }

"$run" --heap-map=a.html "$waits" </dev/null >out 2>&1
[ $? = 5 ] || complain "the exit status is not the program's"
[ "$(cat out)" = ready ] || complain "more is said than by the program: $(cat out)"
page a.html waits
grep -q '<b>2.1 MB</b>' a.html && complain "blocks that were freed are live on the page"

# in the folder where it was started, of the program alone and not of what it starts, whatever that does to its environment
mkdir elsewhere
"$run" --heap-map=b.html perl -e 'chdir "elsewhere"; delete $ENV{SCALLOC_HEAP_MAP}; system "$ARGV[0] </dev/null >out"; exit 7' "$waits"
[ $? = 7 ] || complain "the exit status of a program that starts others is lost"
page b.html perl
[ -e elsewhere/b.html ] && complain "a page in the wrong folder"
"$run" --heap-map=c%p.html perl -e 'system "exec $ARGV[0] </dev/null >out"' "$waits"
[ "$(ls c*.html | wc -l)" = 2 ] || complain "not a page for each process: $(ls c*.html)"
[ "$(grep -l 'Heap map of .*waits' c*.html | wc -l)" -ge 1 ] || complain "none of the program that was started"

# no exit: no page, and whoever waits sees the signal
"$run" --heap-map=d.html perl -e 'kill "TERM", $$'
[ $? = 143 ] || complain "the signal is lost"
[ -e d.html ] && complain "a page of a process that a signal ended"

# what cannot be
"$run" --heap-map=none/e.html true 2>err
[ $? = 125 ] && grep -q 'no file can be written in .*none' err || complain "a folder that is not there: $(cat err)"
"$run" --heap-map= true 2>err
[ $? = 2 ] || complain "no name of a file"
mkdir gone
"$run" --heap-map=gone/f.html perl -e 'rmdir "gone"; exit 3' 2>err
[ $? = 3 ] && grep -q 'f.html: No such file' err || complain "a folder that went away: $(cat err)"
exit $failed

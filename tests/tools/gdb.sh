#!/bin/sh
# gdb.sh ROOT PROGRAM: scalloc-gdb.py tells what PROGRAM (gdb_subject.c) holds, in the process and in its core file.
root=$1 program=$2
command -v gdb >/dev/null || { echo "no gdb"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export HOME="$work"

questions='scalloc block live
scalloc block (char *)live + 50
scalloc block freed
scalloc block freed_first
scalloc block (char *)large + 3000000
scalloc block own
scalloc block &live
scalloc spans'

ask() { gdb -q -nx -batch -ex 'set pagination off' -ex "source $root/scalloc/scalloc-gdb.py" -x "$1" "$program" $2 >"$work/$3" 2>&1; }

want() {
  grep -Eq "$2" "$work/$1" && return
  echo "nothing like '$2' in what gdb said of the $1:" >&2
  cat "$work/$1" >&2
  exit 1
}

printf 'break here\nrun\n%s\n' "$questions" >"$work/live"
printf '%s\n' "$questions" >"$work/dead"
ask "$work/live" '' process
cores=process
(cd "$work" && ulimit -c unlimited && "$program" abort) >/dev/null 2>&1
core=$(ls "$work"/core* 2>/dev/null | head -n 1)
if [ -f "$core" ]; then # where the system writes cores to the current folder
  ask "$work/dead" "$core" corefile
  cores='process corefile'
fi

for of in $cores; do
  want $of 'HOT, class of 1[0-9]+ bytes, of a thread .*; [123] blocks live'
  want $of '^block 0, .* 1[0-9]+ bytes, offset 0: live$'
  want $of '^block 0, .* 1[0-9]+ bytes, offset 50: live$'
  want $of '^block 2, .*: free(, on the list `free.|d, in quarantine)$'
  want $of '^block 1, .*: free(, on the list `free.|d, in quarantine)$'
  want $of '^one block of 5[0-9]* bytes, offset 3000000: live$'
  want $of 'class of 3[0-9]* bytes, of a first-class heap'
  want $of 'not in the arena$'
  want $of '^ +3[0-9]* +1 +0 +0 +1 +1  3[0-9]* bytes$'
  want $of '^ +large +3 spans, 5[0-9]* KiB in blocks$'
done

gdb -q -nx -batch -ex "source $root/scalloc/scalloc-gdb.py" -ex 'scalloc spans' /bin/true >"$work/none" 2>&1
want none 'no scalloc with debug information'

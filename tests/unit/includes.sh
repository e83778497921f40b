#!/bin/sh
# usage: includes.sh ROOT
# Every file of the core, and of the glue, includes only files above it in its list, so there are no cycles; the core knows
# nothing of what is built on it, the glue of the core what its order names after "core"; only platform.h and os_*.c know which
# system and processor they are compiled for, and the malloc replacement (preload).
core_order='
names.h platform.h scalloc/scalloc.h
atomics.h config.h
os.h os_linux.c
options.h options.c lock.h stack.h
canary.h tools.h canary.c
classes.h classes.c
arena.h signpost.h arena.c
link.h live.h
span.h span.c
cells.h
runs.h runs.c pool.h pool.c
purge.h purge.c
large.h large.c
supply.h supply.c
cells.c
lend.h lend.c
fault.h fault.c
heap.h nursery.h nursery.c track.h guard.h guard.c quarantine.h quarantine.c lists.h lists.c steps.h steps.c refill.c heap.c
fast.h walk.h walk.c blocks.h blocks.c
fork.h fork.c
thread.h thread.c track.c
malloc.c stats.c check.c
'
preload_order='
names.h platform.h scalloc/scalloc.h atomics.h os.h options.h arena.h purge.h fault.h track.h fast.h walk.h thread.h
preload_names.h preload.h
foreign.h foreign.c
exit_file.h exit_file.c
heap_map.h heap_map.c
lock.h profile_write.h profile_write.c profile.h profile.c
purger.c preload.c preload_info.c preload_new.c
scalloc_run.c
'
top_order='
names.h platform.h atomics.h config.h classes.h arena.h signpost.h span.h cells.h heap.h nursery.h
html.h html.c
output.h output.c
target.h target.c
picture.h picture.c
json.h json.c
snapshot.h snapshot.c
report.h report.c report_json.c report_prometheus.c page.c
screen.h screen.c
top.c
'
glue_order='
names.h platform.h scalloc/scalloc.h scalloc/runtime_glue.h
lend.h lock.h large.h
rt_names.h glue.h
bits.h bits.c
gcspan.h gcspan.c
gcheap.h gclists.c
quiet.h mutator.h holes.h sweep.h view.h
sweep.c gcheap.c quiet.c mutator.c
holes.c slowpath.c
marking.c byhand.c cycle.c view.c
atomics.h allocated.h allocated.c
scalloc/boehm.h boehm_parts.h
boehm_scan.c boehm.c boehm_life.c boehm_lua.c
'
root=$1
status=0
complain() {
  echo "$*"
  status=1
}

[ -f "$root/scalloc/span.h" ] || complain "$root: no sources here"

rank() { # of a name in the list; nothing if it is not there
  n=0
  for name in $order; do
    n=$((n + 1))
    [ "$name" = "$1" ] && echo $n && return
  done
}

# check_folder FOLDER: by the list in $order.
check_folder() {
  for file in "$root/$1"/*.[ch]; do
    name=${file##*/}
    mine=$(rank "$name")
    [ -n "$mine" ] || { complain "$1/$name: not in the include order of tests/unit/includes.sh"; continue; }
    for included in $(sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$file"); do
      other=$(rank "$included")
      if [ -z "$other" ]; then
        complain "$1/$name includes $included, which is not in its list"
      elif [ "$other" -ge "$mine" ]; then
        complain "$1/$name includes $included, which stands below it"
      fi
    done
    for included in $(sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*<\([^>]*\)>.*/\1/p' "$file"); do
      case $included in
      gc/gc*.h) case $name in boehm*) ;; *) complain "$1/$name includes <$included>" ;; esac ;;
      *lua* | lauxlib.h | */*scalloc* | scalloc/* | *runtime* | gc.h | gc/*) complain "$1/$name includes <$included>" ;;
      esac
    done
    case $name in
    platform.h | os_*.c | preload*.c | scalloc_run.c) continue ;;
    esac
    # Conditions other than include guards and the knobs that platform.h and the build define.
    sed -n 's/^[[:space:]]*#[[:space:]]*\(if\|ifdef\|ifndef\|elif\)[[:space:]]\(.*\)/\2/p' "$file" | sed \
      -e 's/SCALLOC_[A-Z_]*_H\b//g; s/SCALLOC_ASSERTS//g; s/SCALLOC_ABLATION//g; s/UNDER_TSAN//g; s/TRACK_ASAN//g; s/TRACK_VALGRIND//g; s/TRACKED//g; s/BOEHM_REARM//g; s/defined//g; s|/\*.*||; s/[^A-Za-z0-9_ ]//g' |
      grep '[A-Za-z_]' | while read -r knob; do echo "$1/$name is compiled by $knob: a matter for platform.h or os_*.c"; done | grep . && status=1
  done
}
order=$core_order
check_folder scalloc
order=$preload_order
check_folder scalloc/preload
order=$top_order
check_folder scalloc/top
order=$glue_order
check_folder runtime_glue

for file in "$root"/scalloc/include/scalloc/*.h "$root"/runtime_glue/include/scalloc/runtime_glue.h; do
  for included in $(sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]\([^>"]*\)[>"].*/\1/p' "$file"); do
    case $included in
    std*.h) ;;
    *) complain "${file#"$root"/} includes $included: the public header needs standard ones only" ;;
    esac
  done
done

for file in "$root"/lua_alloc/*.[ch] "$root"/lua_alloc/module/*.[ch]; do
  [ -f "$file" ] || continue
  grep -n '#[[:space:]]*include.*runtime' "$file" && complain "${file#"$root"/} includes a header of runtime_glue"
done
exit $status

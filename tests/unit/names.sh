#!/bin/sh
# usage: names.sh NM LIBRARY...
# libscalloc_override.a defines malloc and its family too, by intent, and no others.
# Every global symbol that a library defines begins with scalloc_: a static one takes none of its host's names, a shared one
# exports none but its own.
nm=$1
shift
status=0
for library in "$@"; do
  case $library in
  *.a) names=$("$nm" -g --defined-only "$library" 2>/dev/null | awk 'NF == 3 { print $3 }') ;;
  "") continue ;;
  *) names=$("$nm" -D --defined-only "$library" 2>/dev/null | awk 'NF == 3 && $2 != "A" { sub("@.*", "", $3); print $3 }') ;;
  esac
  case $names in
  *scalloc_*) ;;
  *) echo "$library: no symbols, or none of its own"; status=1 ;;
  esac
  for name in $names; do
    case $name in
    scalloc_* | luaopen_scalloc) ;;
    _.stapsdt.base) ;; # of sys/sdt.h: where the notes of the probes are counted from, one for all objects of a program
    malloc | free | calloc | realloc | reallocarray | *memalign | aligned_alloc | *valloc | free_*sized | mall* | _Zn* | _Zd*)
      case $library in
      *libscalloc_override.a) ;;
      *) echo "$library: defines $name"; status=1 ;;
      esac
      ;;
    *) echo "$library: $name does not begin with scalloc_ (names.h), nor is it the entry of the Lua module"; status=1 ;;
    esac
  done
done
exit $status

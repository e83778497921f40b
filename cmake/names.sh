#!/bin/sh
# Makes scalloc/names.h and runtime_glue/rt_names.h anew from the objects of a build: sh cmake/names.sh build/lib
cd "$(dirname "$0")/.." || exit 1

# defines FOLDER LIBRARY PREFIX: a definition for each symbol of the library that a source of the folder names, and for those
# that are there already.
defines() {
  { nm "$2" | awk '$2 ~ /[TDBRC]/ { print $3 }' | sed "s/^$3//" | grep . | grep -v "^scalloc_"
    sed -n "s/^#define \([a-z_0-9]*\) $3.*/\1/p" "$1"/*names.h; } | sort -u |
    while read -r name; do cat "$1"/*.[ch] | grep -v '^#define' | grep -qw "$name" && echo "#define $name $3$name"; done
}

# renew HEADER LAST_LINE_KEPT FOLDER LIBRARY PREFIX
renew() {
  { sed -n "1,/$2/p" "$1"; echo; defines "$3" "$4" "$5" | grep -v '^#define arena scalloc_rt'; echo; echo '#endif'; } >"$1.new" &&
    mv "$1.new" "$1"
}
renew scalloc/names.h '^#define SCALLOC_NAMES_H' scalloc "$1/libscalloc.a" scalloc_private_
renew runtime_glue/rt_names.h '^#define arena' runtime_glue "$1/libscalloc_runtime.a" scalloc_rt_private_

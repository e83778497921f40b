#!/bin/sh
# Makes scalloc/names.h anew from the objects of a build: sh cmake/names.sh build/lib/libscalloc.a
cd "$(dirname "$0")/.." || exit 1
list=$(nm "$1" | awk '$2 ~ /[TDBRC]/ { print $3 }' | sed 's/^scalloc_private_//' | grep . | grep -v "^scalloc_" | sort -u)
{
  sed -n '1,/^#define SCALLOC_NAMES_H/p' scalloc/names.h
  echo
  { echo "$list"; sed -n 's/^#define \([a-z_0-9]*\) scalloc_private_.*/\1/p' scalloc/names.h; } | sort -u |
    while read -r name; do grep -qw "$name" scalloc/[!n]*.[ch] && echo "#define $name scalloc_private_$name"; done
  echo
  echo '#endif'
} >scalloc/names.h.new && mv scalloc/names.h.new scalloc/names.h

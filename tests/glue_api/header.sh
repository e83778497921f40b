#!/bin/sh
# usage: header.sh INCLUDE-FOLDER
# runtime_glue.h alone, in every C and C++ that the compilers here know, with every warning as an error.
folder=$1 tried=0 status=0
warnings='-Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wcast-align -pedantic-errors -Werror'

compile() { # compiler language standard...
  compiler=$1 language=$2
  shift 2
  command -v "$compiler" >/dev/null 2>&1 || return 0
  for standard in "$@"; do
    echo '#include <scalloc/runtime_glue.h>
void *get(scalloc_rt_mutator *m);
void *get(scalloc_rt_mutator *m) { return scalloc_rt_alloc(m, 3, 64); }' |
      "$compiler" -x "$language" "-std=$standard" $warnings -I"$folder" -O2 -c -o /dev/null - ||
      { echo "$compiler -std=$standard refuses runtime_glue.h"; status=1; }
    tried=$((tried + 1))
  done
}

compile gcc c c99 c11 c17 c2x
compile clang c c99 c11 c17 c2x
compile g++ c++ c++11 c++14 c++17 c++20
compile clang++ c++ c++11 c++14 c++17 c++20
[ $tried -ge 4 ] || { echo "no compiler to try"; exit 77; }
echo "$tried combinations"
exit $status

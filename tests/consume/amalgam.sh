# The core as one file, compiled by one command, with and without libatomic_ops, by GCC and Clang: sh amalgam.sh SOURCE BUILD
# CORE_SOURCE... The tests of the public interface pass with it.
. "$(dirname "$0")/lib.sh"
shift 2
must sh "$source/cmake/amalgam.sh" one "$@" || exit 1
warnings='-Wall -Wextra -Wpedantic -Wconversion -Werror'

must cc -O2 -c one/scalloc.c -o plain.o || exit 1
must cc -O0 -std=gnu11 $warnings -DSCALLOC_NO_ATOMIC_OPS -c one/scalloc.c -o builtin.o
if have clang; then must clang -std=gnu11 $warnings -fsyntax-only one/scalloc.c; fi
nm -u plain.o | grep -E ' (AO_|scalloc_|lua_|GC_)' && complain 'one file is not all: the names above are missing'
nm -g --defined-only plain.o | awk '$3 !~ /^scalloc_/' | grep . && complain 'the names above are not ours'

# try OBJECT TEST...
try() {
  object=$1
  shift
  printf '%s\n' "$@" | xargs -P "$(nproc)" -I TEST sh -c \
    "cc -D_GNU_SOURCE -I '$source/scalloc/include' '$source/tests/api/TEST.c' $object -o TEST.$object -pthread &&
     ./TEST.$object >TEST.$object.output 2>&1 || { cat TEST.$object.output; echo 'FAILED: TEST with $object'; exit 1; }" || failed=1
}
try plain.o basics realloc aligned find stats ownership options corners
try builtin.o ownership
must cc -I one "$here/core.c" -I "$source/scalloc/include" plain.o -o core && prints 'core works' ./core
exit $failed

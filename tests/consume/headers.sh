# Every public header alone, as C11 (but for those of C++) and C++11 and C++20, with GCC and Clang, without a warning, in C++ also
# without exceptions; a user of the header for C++ in every standard; and the sources of the libraries with Clang, as they are
# compiled with GCC.
. "$(dirname "$0")/lib.sh"
warnings='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror'
include="-I $prefix/include"

for header in "$prefix"/include/scalloc/*.h "$prefix"/include/scalloc/*.hpp; do
  printf '#include <scalloc/%s>\nint main(void) { return 0; }\n' "$(basename "$header")" | tee alone.c >alone.cc
  for compiler in gcc clang; do
    [ "${header%.hpp}" = "$header" ] && have $compiler || continue
    must $compiler -std=c11 $warnings -Wstrict-prototypes -fsyntax-only $include alone.c
  done
  for compiler in g++ clang++; do
    have $compiler || continue
    for options in -std=c++11 -std=c++20 '-std=c++11 -fno-exceptions -fno-rtti'; do
      must $compiler $options $warnings -fsyntax-only $include alone.cc
    done
  done
done

for compiler in g++ clang++; do
  have $compiler || continue
  for standard in 11 14 17 20; do
    must $compiler -std=c++$standard $warnings -fsyntax-only $include "$here/cxx/user.cc"
  done
  must $compiler -std=c++11 -fno-exceptions -fno-rtti $warnings $include "$here/cxx/user.cc" -o user "$prefix/lib/libscalloc.a" &&
    prints 'a user works' ./user
done

if have clang && [ "$(basename "${CC-gcc}")" != clang ]; then
  grep -h '"command": .*_objects\.dir/' "$build/compile_commands.json" |
    grep -E 'CMakeFiles/scalloc(_lua|_runtime|_boehm)?_objects\.dir/' |
    sed 's/^ *"command": "[^ ]* //; s/",$//; s/ -o [^ ]*//' >commands
  # The macros of sys/sdt.h, as in builds by Clang itself (CMakeLists.txt).
  grep -q 'SCALLOC_USDT' commands && sed -i "s/$/ -Wno-gnu-zero-variadic-macro-arguments/" commands
  [ -s commands ] || complain "no sources found in compile_commands.json"
  xargs -P "$(nproc)" -I ARGUMENTS sh -c "clang ARGUMENTS -fsyntax-only -Werror" <commands || complain "Clang warns"
fi
exit $failed

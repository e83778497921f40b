# cmake --install puts everything under a prefix, from which it can be moved: sh install.sh SOURCE BUILD [PART...], where PART is
# lua, boehm, program: what this build has.
. "$(dirname "$0")/lib.sh"
shift 2

rm -rf "$prefix"
must cmake --install "$build" --prefix "$work/first" || exit 1
mv "$work/first" "$prefix"

there() {
  for file in "$@"; do [ -s "$prefix/$file" ] || complain "$file is not installed"; done
}
library() { there "lib/$1.a" "lib/$1.so" "lib/$1.so.0"; }
library libscalloc
library libscalloc_runtime
there include/scalloc/scalloc.h include/scalloc/scalloc.hpp include/scalloc/runtime_glue.h share/man/man3/scalloc.3 lib/cmake/scalloc/scallocConfig.cmake \
  lib/pkgconfig/scalloc.pc lib/pkgconfig/scalloc-runtime.pc
for part in "$@"; do
  case $part in
  lua) library libscalloc_lua; there include/scalloc/lua_alloc.h lib/pkgconfig/scalloc-lua.pc ;;
  boehm) library libscalloc_boehm; there include/scalloc/boehm.h lib/pkgconfig/scalloc-boehm.pc ;;
  malloc)
    there bin/scalloc-run bin/scalloc-top share/man/man1/scalloc-run.1 share/man/man1/scalloc-top.1 lib/libscalloc_preload.so lib/libscalloc_preload_checked.so lib/libscalloc_preload_profile.so \
      lib/libscalloc_override.a lib/pkgconfig/scalloc-override.pc ;;
  program) there bin/scalloc-lua share/man/man1/scalloc-lua.1 ;;
  esac
done

# Nothing installed knows where it was built or installed: not the packages, not the search paths of programs and libraries.
grep -rlI -e "$source" -e "$build" -e "$work" "$prefix" && complain "files above name the place where they were built"
for file in "$prefix"/bin/* "$prefix"/lib/*.so.0; do
  readelf -d "$file" 2>/dev/null | grep -E 'R(UN)?PATH' | grep -qF -e "$source" -e "$build" -e "$work" &&
    complain "$file has a search path of the build"
done

case " $* " in
*" malloc "*)
  prints libscalloc_preload.so sh -c "env -i $prefix/bin/scalloc-run cat /proc/self/maps | grep -o 'libscalloc_preload.so' | uniq"
  must env -i "$prefix/bin/scalloc-run" --heap-map=map.html perl -e 1 && grep -q '</html>' map.html || complain 'no heap map from an installation'
  echo 'int main(void) { return __builtin_puts("overridden"); }' >overridden.c
  export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
  must cc overridden.c -o overridden $(pkg-config --libs scalloc-override) &&
    prints '{"arena"' sh -c "SCALLOC_STATS=1 ./overridden 2>&1 | grep -o '^{.arena.'" ;;
esac
case " $* " in
*" program "*) prints 5 env -i "$prefix/bin/scalloc-lua" -e 'print(#("hello"))' ;;
esac
exit $failed

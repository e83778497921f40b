# find_package(scalloc) with components, from a moved prefix: every target there is, static and shared; what is not there is said.
. "$(dirname "$0")/lib.sh"
find_parts lua_alloc=include/scalloc/lua_alloc.h boehm=include/scalloc/boehm.h
build_project project || exit 1
for kind in '' _shared; do
  prints 'core works' built/core$kind
  prints 'glue works' built/glue$kind
  case $parts in *lua_alloc*) prints 'lua works' built/lua$kind ;; esac
  case $parts in *boehm*) prints 'boehm works' built/boehm$kind ;; esac
done
readelf -d built/core | grep -q 'NEEDED.*libscalloc' && complain 'scalloc::scalloc is not static'
readelf -d built/core_shared | grep -q 'NEEDED.*libscalloc\.so\.0' || complain 'scalloc::scalloc_shared is not shared'

if cmake -S "$here/project" -B other -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DPARTS=no_such_part >output 2>&1; then
  complain 'a component that does not exist was found'
fi
grep -q no_such_part output || complain 'the message does not name the missing component'
exit $failed

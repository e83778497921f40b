# A C++17 project without any C: find_package, the C headers in classes, containers on scalloc.hpp, new and delete replaced.
. "$(dirname "$0")/lib.sh"
find_parts lua_alloc=include/scalloc/lua_alloc.h override=lib/libscalloc_override.a
build_project cxx || exit 1
for kind in '' _shared; do
  prints 'containers work' built/containers$kind
  prints 'classes work' built/classes$kind
done
case $parts in
*override*)
  prints 'operators work' built/operators
  prints '{"arena"' sh -c "SCALLOC_STATS=1 built/operators 2>&1 >/dev/null | grep -o '^{.arena.'"
  ;;
esac
exit $failed

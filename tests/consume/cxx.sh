# A C++17 project without any C: find_package, the C headers in classes, containers on scalloc.hpp, new and delete replaced.
. "$(dirname "$0")/lib.sh"
parts=
[ -e "$prefix/include/scalloc/lua_alloc.h" ] && parts="$parts lua_alloc"
[ -e "$prefix/lib/libscalloc_override.a" ] && parts="$parts override"

must cmake -S "$here/cxx" -B built -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DPARTS="$(echo $parts | tr ' ' ';')" || exit 1
must ninja -C built || exit 1
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

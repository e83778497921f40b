# FetchContent and add_subdirectory: the libraries alone, as the outer project builds, nothing leaked into it.
. "$(dirname "$0")/lib.sh"

# outer NAME TARGETS OPTION...
outer() {
  name=$1 targets=$2
  shift 2
  must cmake -S "$here/inside" -B "$name" -G Ninja -DSCALLOC_SOURCE_DIR="$source" "$@" || return 1
  grep -E '^SCALLOC_BUILD_[A-Z]*:BOOL=ON|^SCALLOC_INSTALL:BOOL=ON' "$name/CMakeCache.txt" && complain "$name: the options above are on"
  [ -z "$targets" ] || must ninja -C "$name" $targets
}
outer fetched glue && prints 'glue works' fetched/glue # no build type: the outer project has none, and gets none
outer sanitized core -DBY=add_subdirectory -DWANTED_BUILD_TYPE=Debug -DCMAKE_BUILD_TYPE=Debug \
  '-DCMAKE_C_FLAGS=-fsanitize=address,undefined -fno-sanitize-recover=all' && prints 'core works' sanitized/core
ninja -C fetched -n all | grep -E 'Linking .*(bin/|_preload|lib/lua/)' && complain 'fetched: programs above would be built'
exit $failed

# Where there is nothing but a C compiler and libatomic_ops, the core and the glue are built, and each part left out is named once.
. "$(dirname "$0")/lib.sh"

must cmake -S "$source" -B built -G Ninja -DCMAKE_BUILD_TYPE=None -DCMAKE_DISABLE_FIND_PACKAGE_PkgConfig=ON \
  -Dsqlite_LIBRARY= -Dmruby_LIBRARY= -Dduktape_LIBRARY= -DSCALLOC_BUILD_TESTS=OFF || exit 1
for part in "Lua 5.4" "Boehm GC" sqlite mruby duktape; do
  [ "$(grep -c "^-- $part not found.* left out$" output)" = 1 ] || complain "not exactly one message says that $part is left out"
done
grep -i warning output && complain 'warnings above'
ninja -C built -t targets all | grep -E 'libscalloc_(lua|boehm)|scalloc-lua:' && complain 'targets above cannot be built'
must ninja -C built
must built/bin/example-heap
exit $failed

# pkg-config gives the lines that compile and link, shared and static, as C and C++, wherever the prefix was moved to.
. "$(dirname "$0")/lib.sh"
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
have pkg-config || exit 77

# try NAME PACKAGES TEXT: NAME.c links with the packages
try() {
  pkg-config --exists $2 || { complain "pkg-config does not find $2"; return; }
  must cc -Wall -Werror "$here/$1.c" -o $1.shared $(pkg-config --cflags --libs $2) &&
    prints "$3" env LD_LIBRARY_PATH="$prefix/lib" ./$1.shared
  must cc -Wall -Werror -static "$here/$1.c" -o $1.static $(pkg-config --static --cflags --libs $2) && prints "$3" ./$1.static
}
try core scalloc 'core works'
try glue scalloc-runtime 'glue works'
[ -e "$prefix/lib/pkgconfig/scalloc-boehm.pc" ] && try boehm scalloc-boehm 'boehm works'
[ -e "$prefix/lib/pkgconfig/scalloc-lua.pc" ] && try lua 'scalloc-lua lua5.4' 'lua works'
for version in 5.1 5.3; do
  [ -e "$prefix/lib/pkgconfig/scalloc-lua$version.pc" ] && try lua "scalloc-lua$version lua$version" 'lua works'
done
for name in core glue; do
  have c++ && must c++ -x c++ -std=c++11 -Wall -Werror "$here/$name.c" -o $name.cxx $(pkg-config --cflags --libs scalloc-runtime) &&
    prints "$name works" env LD_LIBRARY_PATH="$prefix/lib" ./$name.cxx
done
exit $failed

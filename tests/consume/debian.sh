# cpack -G DEB makes packages that belong together; unpacked in a root of their own, their programs run and their libraries link.
. "$(dirname "$0")/lib.sh"
have dpkg-deb && have dpkg-shlibdeps || exit 77

must cpack -G DEB --config "$build/CPackConfig.cmake" -B "$work/packages" || exit 1
for file in packages/*.deb; do
  must dpkg -x "$file" root
  dpkg-deb -f "$file" Package Version Architecture Depends Section >>fields
  echo >>fields
done

# field PACKAGE FIELD
field() { sed -n "/^Package: $1\$/,/^\$/s/^$2: //p" fields; }

version=$(field libscalloc0 Version)
for package in libscalloc0 libscalloc-dev scalloc-tools; do
  [ "$(field $package Architecture)" = "$(dpkg --print-architecture)" ] || complain "$package: no such package for this machine"
  case $(field $package Depends) in *libc6*) ;; *) complain "$package does not depend on the C library" ;; esac
done
for package in libscalloc-dev scalloc-tools lua-scalloc; do
  case $(field $package Depends) in
  *"libscalloc0 (= $version)"*) ;;
  *) complain "$package does not depend on its libscalloc0" ;;
  esac
done
if [ -e root/usr/include/scalloc/boehm.h ]; then
  case $(field libscalloc-boehm0 Depends) in *libgc1*) ;; *) complain 'libscalloc-boehm0 does not depend on libgc1' ;; esac
fi

# A file in two packages cannot be installed. The library package needs neither headers nor the links that only linking needs.
for file in packages/*.deb; do dpkg-deb --fsys-tarfile "$file" | tar t | grep -v '/$'; done | sort | uniq -d >twice
[ -s twice ] && { cat twice; complain 'files above are in two packages'; }
dpkg-deb -c packages/libscalloc0_*.deb | grep -E '\.(h|a|pc|so) ?$' && complain 'files above do not belong in libscalloc0'

lib=$(dirname "$(find root -name libscalloc.so.0)")
export PKG_CONFIG_PATH=$lib/pkgconfig
must cc "$here/core.c" -o core $(pkg-config --cflags --libs scalloc) && prints 'core works' env LD_LIBRARY_PATH="$lib" ./core
[ ! -e "root/usr/bin/scalloc-lua" ] || prints 5 root/usr/bin/scalloc-lua -e 'print(#("hello"))'
exit $failed

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

# Licence and changelog in each; man pages compressed; what a program that is linked with a library depends on.
for package in $(sed -n 's/^Package: //p' fields); do
  grep -q 'Permission is hereby granted, free of charge' "root/usr/share/doc/$package/copyright" || complain "$package: no licence"
  zcat "root/usr/share/doc/$package/changelog.gz" | grep -qF "($version)" || complain "$package: no changelog of $version"
done
find root/usr/share/man -type f ! -name '*.gz' | grep . && complain 'man pages above are not compressed'
zcat root/usr/share/man/man3/scalloc.3.gz | grep -q scalloc_malloc || complain 'no man page scalloc(3)'
dpkg-deb --ctrl-tarfile packages/libscalloc0_*.deb | tar xO ./shlibs | grep -qF "libscalloc 0 libscalloc0 (>= $version)" ||
  complain 'libscalloc0: its shlibs do not name libscalloc'

# Debian's own checker, where it is. What is left: libraries to be preloaded have neither version nor package of their own; the
# address of the maintainer is for whoever publishes packages to fill in.
if have lintian; then
  no=bogus-mail-host,bogus-mail-host-in-debian-changelog,sharedobject-in-library-directory-missing-soname
  lintian --allow-root --fail-on error --suppress-tags $no \
    packages/*.deb >said 2>&1 || { cat said; complain 'lintian finds the errors above'; }
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

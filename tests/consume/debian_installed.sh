# The packages that debian.sh made, installed by dpkg in a root of their own, which believes to have the packages of this system:
# dependencies are looked at, scripts run, the linker's cache is written; a C, a C++ and a Lua program use what was installed;
# nothing is left of it after the removal. Needs to be root.
. "$(dirname "$0")/lib.sh"
packages=$build/consume/debian/packages
ls "$packages"/*.deb >/dev/null 2>&1 && [ -s /var/lib/dpkg/status ] && have dpkg || { echo 'no packages, or no dpkg'; exit 77; }
[ "$(id -u)" = 0 ] || { echo 'not root: packages cannot be installed'; exit 77; }

root=$work/root
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/triggers"
# Of the packages that ours depend on, the root has those that this system has.
for file in "$packages"/*.deb; do dpkg-deb -f "$file" Depends; done | tr ',|' '\n' | sed 's/^ *\([a-z0-9.+-]*\).*/\1/' | sort -u |
  grep -v scalloc | while read -r name; do
    dpkg-query -W -f 'Package: ${Package}\nStatus: ${Status}\nArchitecture: ${Architecture}\nVersion: ${Version}\nMaintainer: x <x@x>\nDescription: x\n\n' "$name"
    : >"$root/var/lib/dpkg/info/$name.list"
  done >"$root/var/lib/dpkg/status" 2>absent
# What the scripts of the packages run, and what that is linked with.
mkdir -p "$root/etc" && cp -r /etc/ld.so.conf /etc/ld.so.conf.d "$root/etc/"
for program in /bin/sh /sbin/ldconfig; do
  for file in $program $(ldd $program 2>/dev/null | grep -o '/[^ ]*'); do
    mkdir -p "$root$(dirname "$file")" && cp -L "$file" "$root$file" || exit 1
  done
done
in_root() { dpkg --root="$root" --log=/dev/null "$@"; }

if in_root -i "$packages"/scalloc-tools_*.deb >alone 2>&1; then complain 'scalloc-tools alone can be installed'; fi
grep -q 'depends on libscalloc0' alone || { cat alone; complain 'dpkg does not miss libscalloc0'; }
must in_root -i "$packages"/*.deb || exit 1
names=$(for file in "$packages"/*.deb; do dpkg-deb -f "$file" Package; done)
for name in $names; do
  [ "$(dpkg-query --root="$root" -W -f '${Status}' "$name")" = 'install ok installed' ] || complain "$name is not installed"
done
must in_root --verify $names
[ -s output ] && { cat output; complain 'files above are not as in their packages'; }

lib=$(dirname "$(find "$root/usr" -name libscalloc.so.0)")
export PKG_CONFIG_PATH=$lib/pkgconfig
must cc "$here/core.c" -o root/core $(pkg-config --cflags --libs scalloc) && prints 'core works' chroot root /core
must cmake -S "$here/cxx" -B built -G Ninja -DCMAKE_PREFIX_PATH="$root/usr" &&
  must ninja -C built containers_shared && prints 'containers work' built/containers_shared
prints 'overridden' "$root/usr/bin/scalloc-run" perl -e 'print "overridden\n"'
must "$root/usr/bin/scalloc-run" --heap-map=kept.json perl -e 1 && must "$root/usr/bin/scalloc-top" kept.json
[ ! -e "$root/usr/bin/scalloc-lua" ] || prints 5 "$root/usr/bin/scalloc-lua" -e 'print(#("hello"))'
for interpreter in lua5.4 lua5.3 lua5.1 luajit; do
  have $interpreter || continue
  module=$(find "$root/usr" -path "*/lua/$($interpreter -e 'io.write(_VERSION:sub(5))')/scalloc.so")
  [ -z "$module" ] || prints true env LUA_CPATH="$module" LUA_INIT='require"scalloc".attach{}' $interpreter -e 'print(require"scalloc".active())'
done

must in_root --purge $names
find "$root" -path '*scalloc*' ! -path "$root/var/*" | grep . && complain 'files above are left of removed packages'
exit $failed

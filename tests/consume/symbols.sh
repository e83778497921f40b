# Of the installed shared libraries: a SONAME with the version of the interface, and exported names that begin with scalloc_ (but for the entry of the Lua module), each
# under a version node. The public ones are those that the headers declare.
. "$(dirname "$0")/lib.sh"

# declared HEADER: the functions that it declares
declared() {
  sed 's@/\*.*\*/@@' "$1" | grep -v '^ \*\|^/\*\|^#\|static inline' |
    grep -v '^typedef' | grep -o '\b\(scalloc_[a-z_]*\|luaopen_scalloc\)(' | tr -d '(' | sort -u
}

# check LIBRARY NODE HEADER
check() {
  file=$prefix/lib/$1.so.0
  [ -e "$file" ] || return 0
  readelf -d "$file" | grep -qF "Library soname: [$1.so.0]" || complain "$1: SONAME"
  nm -D --defined-only "$file" | awk '$2 != "A" { print $3 }' >names
  grep -v '^\(scalloc_[a-z_0-9]*\|luaopen_scalloc\)@@SCALLOC_[A-Z]*_*\(0\|PRIVATE\)$' names && complain "$1: names above have no version, or are not ours"
  sed -n "s/@@$2\$//p" names | sort >exported
  [ -s exported ] || complain "$1 exports nothing under $2"
  declared "$prefix/include/scalloc/$3" >wanted
  diff wanted exported >difference || { cat difference; complain "$3 declares (<) what $1 does not export (>)"; }
}
check libscalloc SCALLOC_0 scalloc.h
check libscalloc_lua SCALLOC_LUA_0 lua_alloc.h
check libscalloc_runtime SCALLOC_RUNTIME_0 runtime_glue.h
check libscalloc_boehm SCALLOC_BOEHM_0 boehm.h

# The core names no Lua and no collector, and libraries above it do not define it once more.
nm -D --undefined-only "$prefix/lib/libscalloc.so.0" | grep -E ' (lua_|luaL_|GC_)' && complain "libscalloc needs the names above"
for library in lua runtime boehm; do
  file=$prefix/lib/libscalloc_$library.so.0
  [ -e "$file" ] || continue
  readelf -d "$file" | grep -q 'NEEDED.*libscalloc\(_runtime\)\?\.so\.0' || complain "libscalloc_$library does not name libscalloc"
  nm -D --defined-only "$file" | grep -q ' scalloc_malloc@' && complain "libscalloc_$library has a core of its own"
done
exit $failed

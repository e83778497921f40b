# Sourced by the tests of this folder, which are called as: sh NAME.sh SOURCE BUILD. Works in BUILD/consume/NAME, made anew;
# $prefix is where install.sh has put the installation.
source=$1 build=$2 failed=0
here=$source/tests/consume
prefix=$build/consume/moved
work=$build/consume/$(basename "$0" .sh)
rm -rf "$work"
mkdir -p "$work" && cd "$work" || exit 1
unset LD_LIBRARY_PATH CFLAGS CPPFLAGS LDFLAGS CMAKE_PREFIX_PATH DESTDIR
for option in $(env | sed -n 's/^\(SCALLOC_[A-Z_]*\)=.*/\1/p'); do unset "$option"; done

complain() {
  echo "FAILED: $*" >&2
  failed=1
}

# must COMMAND...: its output is shown if it fails
must() {
  if "$@" >output 2>&1; then return 0; fi
  complain "$*"
  cat output >&2
  return 1
}

# prints TEXT COMMAND...: it succeeds and its output is TEXT
prints() {
  wanted=$1
  shift
  must "$@" || return 1
  [ "$(cat output)" = "$wanted" ] && return 0
  complain "$* printed '$(cat output)', not '$wanted'"
}

# find_parts PART=FILE...: $parts are those whose file the installation has
find_parts() {
  parts=
  for one in "$@"; do
    [ ! -e "$prefix/${one#*=}" ] || parts="$parts ${one%%=*}"
  done
}

# build_project FOLDER: a project of CMake that finds the installation, with these parts, in built/
build_project() {
  must cmake -S "$here/$1" -B built -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DPARTS="$(echo $parts | tr ' ' ';')" && must ninja -C built
}

have() { command -v "$1" >/dev/null 2>&1; }

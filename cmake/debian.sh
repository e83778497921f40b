# Sourced by examples/run, tests/run and bench/run: makes sure that Debian packages are there.
#   need_packages NAME...   installs what is missing as root or through sudo; otherwise says what to install and exits 3.
#   want_packages NAME...   the same for those that can be done without: says which are missing, and goes on.
#   want_ninja FOLDER...    makes sure that build folders can be configured with -G Ninja.

installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q '^install ok installed'; }

# A folder that was configured for another build tool than Ninja cannot be configured for Ninja: it is begun anew.
# The arguments are build folders.
want_ninja() {
  for folder in "$@"; do
    [ -f "$folder/CMakeCache.txt" ] || continue
    grep -q '^CMAKE_GENERATOR:INTERNAL=Ninja$' "$folder/CMakeCache.txt" && continue
    echo "$folder: configured anew, for Ninja" >&2
    rm -rf "$folder/CMakeCache.txt" "$folder/CMakeFiles"
  done
}

need_packages() {
  missing=
  for package in "$@"; do
    installed "$package" || missing="$missing $package"
  done
  [ -z "$missing" ] && return 0
  if [ "$(id -u)" = 0 ]; then as_root=
  elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then as_root=sudo
  else
    echo "missing packages; as root, run: apt-get install$missing" >&2
    exit 3
  fi
  echo "installing:$missing" >&2
  log=$(mktemp)
  if ! { $as_root apt-get update && DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    echo "could not install:$missing" >&2
    exit 3
  fi
  rm -f "$log"
}

want_packages() {
  (need_packages "$@") && return
  for package in "$@"; do
    (need_packages "$package") || echo "left out: what needs $package" >&2
  done
}

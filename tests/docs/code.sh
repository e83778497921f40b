# Every code block of every document: sh code.sh SOURCE BUILD COMPILER LIBRARY...
#
# c: compiled without a warning and run, as it is if it has a main, else as the statements of a function (fragment.h). Those of
#    docs/lua.md are the test docs.lua.
# cpp: whole programs, compiled as C++17 where there is a C++ compiler, and run.
# lua: run by scalloc-lua; what stands behind "-->" is the beginning of what it prints.
# sh: the blocks of a document are one session, in a folder that looks like the root of the sources. That of README.md begins without
#    a build, and ends with scalloc installed in the home directory; the others find the build of this test. Each line is a command
#    and must succeed. ctest only lists, and must find something. commands.txt names other exceptions.
# A block of text is not looked at. Those of C, C++ and Lua come first, each by itself; then the sessions, whose blocks run as they
# are printed.
source=$1 build=$2 compiler=$3
shift 3
work=$build/docs-code
rm -rf "$work"
mkdir -p "$work/blocks" "$work/home/bin" && cd "$work" || exit 1
tab=$(printf '\t')
failed=0
complain() { # WHAT [LOG]
  echo "FAILED: $1"
  [ -z "${2-}" ] || tail -n 40 "$2"
  failed=1
}
name_of() { basename "${1%.*}" | tr , /; } # of a block's file: DOCUMENT:LINE

sh "$source/tests/docs/blocks.sh" "$source" "$work/blocks" >log
if [ -s log ]; then cat log; failed=1; fi
for kind in c lua sh; do
  ls blocks/*."$kind" >/dev/null || complain "there is no block of kind $kind"
done

# ---- c
include="-I$source/scalloc/include -I$source/lua_alloc/include -I$source/runtime_glue/include -isystem /usr/include/lua5.4"
boehm=''
[ -e /usr/include/gc.h ] && [ -e "$build/lib/libscalloc_boehm.a" ] && boehm="-DWITH_BOEHM $build/lib/libscalloc_boehm.a"

for block in blocks/*.c; do
  case $block in */docs,lua.md:*) continue ;; esac
  [ -d /usr/include/lua5.4 ] || continue
  libraries=$*
  if grep -q 'boehm' "$block"; then
    [ -n "$boehm" ] || continue
    libraries="$boehm $* -lgc"
  fi
  if grep -q 'int main(' "$block"; then
    cp "$block" whole.c
    standard=c11
  else
    marks=false
    ! grep -q 'push(' "$block" || marks=true
    standard=gnu11
    {
      printf '#include "%s"\n' "$source/tests/docs/fragment.h"
      grep '^#include' "$block"
      printf 'static void block(void) {\n#line 1 "%s"\n' "$(name_of "$block")"
      sed 's/^#include.*//' "$block"
      printf '}\nint main(void) {\n  set_up();\n  block();\n  return verdict(%s);\n}\n' $marks
    } >whole.c
  fi
  "$compiler" -std=$standard -Wall -Wextra -Wpedantic -Werror -Wno-unused $include whole.c -o whole $libraries >log 2>&1 ||
    { complain "$(name_of "$block") does not compile" log; continue; }
  timeout 60 ./whole >log 2>&1 || complain "$(name_of "$block"): the program ends with $?" log
done

# ---- cpp
for block in blocks/*.cpp; do
  command -v c++ >/dev/null && [ -e "$block" ] || continue
  c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror $include "$block" -o whole "$@" >log 2>&1 ||
    { complain "$(name_of "$block") does not compile" log; continue; }
  timeout 60 ./whole >log 2>&1 || complain "$(name_of "$block"): the program ends with $?" log
done

# ---- lua
for block in blocks/*.lua blocks/*.lua_types; do
  [ -x "$build/bin/scalloc-lua" ] && [ -e "$block" ] || continue
  types=''
  case $block in *_types) types=--mem-types ;; esac
  sed -n 's/.*--> *//p' "$block" | tr -s ' \t' ' ' >expected
  "$build/bin/scalloc-lua" $types "$block" >printed 2>log || { complain "$(name_of "$block")" log; continue; }
  head -n "$(wc -l <expected)" printed | tr -s ' \t' ' ' | diff expected - >log || complain "$(name_of "$block") prints something else" log
done

# ---- sh
used=$work/used
: >"$used"

# exception DOCUMENT COMMAND: sets action and what it needs.
exception() {
  action=run
  while IFS=$tab read -r where what pattern reason; do
    [ "$where" = "$1" ] || continue
    case $2 in
    $pattern)
      printf '%s\t%s\n' "$where" "$pattern" >>"$used"
      action=$what
      return
      ;;
    esac
  done <"$source/tests/docs/commands.txt"
}

printf '#include <stdlib.h>\nint main(void) { for (int i = 0; i < 1000; i++) free(malloc(i)); }\n' >program.c
printf 'int main() { for (int i = 0; i < 1000; i++) delete new int; }\n' >program.cc
"$compiler" -O0 program.c -o program || exit 1

# lay_out BUILD: the folder root as the root of the sources; its build as the given one, or none
lay_out() {
  rm -rf root
  mkdir root
  for entry in "$source"/*; do
    case ${entry##*/} in build*) ;; *) ln -s "$entry" root/ ;; esac
  done
  if [ -n "$1" ]; then
    mkdir -p root/build/tests # of links to files, so that nothing is written to the build itself
    cp -rs "$1"/bin "$1"/lib root/build/
    find "$1"/tests -maxdepth 1 -type f -exec ln -s {} root/build/tests/ ';'
    echo 'subdirs("tests")' >root/build/CTestTestfile.cmake
  fi
  # what stands for the reader's own files
  cp "$work/program.c" "$work/program.cc" "$work/program" root/
  cp "$work/program.c" root/yours.c
  cat blocks/README.md:*.lua >root/script.lua
  cp "$(ls "$source"/tests/fuzz/corpus/* | head -n 1)" root/crash-0123456789abcdef
}

# known_options COMMAND: is the program there, and does its help have the options?
known_options() {
  set -f
  set -- $1
  set +f
  program=$1 run=''
  if [ "$1" = sh ]; then program=$2 run=sh; shift; fi
  (cd root && $run "$program" --help) >help 2>&1
  for word in "$@"; do
    case $word in
    --*) grep -q -e "${word%%=*}\>" help || { echo "$program does not know ${word%%=*}"; return 1; } ;;
    esac
  done
}

# session DOCUMENT: its commands as a script; each is checked to have succeeded
session() {
  echo 'trap "kill \$(jobs -p) 2>/dev/null" EXIT'
  for block in $(ls "blocks/$(echo "$1" | tr / ,)":*.sh | sort -t: -k2n); do
    line=${block##*:}
    line=${line%.sh}
    while IFS= read -r text; do
      line=$((line + 1))
      command=$(printf '%s\n' "$text" | sed 's/[ \t][ \t]*#.*//')
      [ -n "$command" ] || continue
      exception "$1" "$command"
      case $action in
      syntax) continue ;;
      options)
        known_options "$command" >log || echo "echo '$1:$line: $(cat log)'; exit 1"
        continue
        ;;
      needs*) command -v "${action#needs }" >/dev/null || continue ;;
      fresh) echo 'rm -rf build' ;;
      run)
        case $command in
        ctest*) text="$command -N >listed && grep -v '^Total Tests: 0' listed | grep '^Total Tests:'" ;;
        cmake\ --build\ build* | */run\ --help) ;;
        *cmake* | *ninja* | */run*) text="echo 'commands.txt has to say what becomes of this'; false" ;;
        esac
        ;;
      *) text="echo 'commands.txt: what is $action?'; false" ;;
      esac
      printf '%s\n' "$text"
      printf '[ $? = 0 ] || { echo "%s:%d fails"; exit 1; }\n' "$1" "$line"
    done <"$block"
  done
}

HOME=$work/home
export HOME
# As fast as can be: the build is of README.md, what it makes is tested elsewhere.
CMAKE_GENERATOR=Ninja CMAKE_BUILD_TYPE=None
export CMAKE_GENERATOR CMAKE_BUILD_TYPE
documents=$(ls blocks/*.sh | sed 's/:[0-9]*\.sh$//; s,^blocks/,,' | sort -u | tr , /)
for document in README.md $(echo "$documents" | grep -v '^README.md$'); do
  if [ "$document" = README.md ]; then
    lay_out ''
    for block in blocks/README.md:*.c; do ! grep -q 'int main(' "$block" || cp "$block" root/program.c; done
  else
    lay_out "$build"
  fi
  session "$document" >script
  for block in "blocks/$(echo "$document" | tr / ,)":*.sh; do
    sh -n "$block" >log 2>&1 || complain "$(name_of "$block") is not for sh" log
  done
  (cd root && timeout 100 sh ../script </dev/null) >log 2>&1 || complain "$document: its commands" log
  if [ "$document" = README.md ]; then # from here on scalloc is installed as README.md says
    [ ! -x root/a.out ] || cp root/a.out home/bin/program
    PREFIX=$HOME/scalloc PATH=$HOME/scalloc/bin:$HOME/bin:$PATH
    PKG_CONFIG_PATH=$PREFIX/lib/pkgconfig LD_LIBRARY_PATH=$PREFIX/lib
    export PREFIX PATH PKG_CONFIG_PATH LD_LIBRARY_PATH
  fi
done
grep -v '^#' "$source/tests/docs/commands.txt" | while IFS=$tab read -r where what pattern reason; do
  [ -n "$reason" ] || echo "commands.txt: $where, $pattern: no reason"
  grep -qxF "$where$tab$pattern" "$used" || echo "commands.txt: $where has no command $pattern"
done >log
[ ! -s log ] || complain 'exceptions that are none' log
[ $failed != 0 ] || echo "$(ls blocks | wc -l) blocks are good"
exit $failed

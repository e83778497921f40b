# What the documents say in `backticks` of the product is there: sh names.sh SOURCE BUILD
#   file.c: function     is defined in that file of the product
#   words_with_joints    are words of the sources, or names of tests
#   folder/file, file.c  are files or folders, here or in the system's headers; build/... programs of this build
#   label.name           are tests; * stands for anything
#   --options            are known to some program
# And docs/protocols.md names scenarios ("...") that a model has. docs/bench.md and bench/results are generated and left out.
LC_ALL=C
export LC_ALL
cd "$1" || exit 1
build=$2
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
complain() { echo "$*"; failed=1; }

# Names of other programs, and of files that readers make.
foreign='CLONE_NEWUSER PTRACE_O_TRACEEXIT luai_makeseed mi_heap_new script.lua scalloc.c --collapsed'

documents=$(find . -name '*.md' -not -path './build*' -not -path './.git/*' -not -path './bench/results/*' -not -path ./docs/bench.md | sort)
find . -type f -not -path './build*' -not -path './.git/*' -not -path './bench/results/*' -not -path './tests/fuzz/corpus/*' \
  -not -name '*.md' >"$work/sources"
find . -type f -not -path './build*' -not -path './.git/*' | sed 's,.*/,,' | sort -u >"$work/files"
ctest --test-dir "$build" -N | sed -n 's/^ *Test *#[0-9]*: //p' >"$work/tests"
[ -s "$work/tests" ] || complain "there are no tests in $build"
labels=$(sed 's/\..*//' "$work/tests" | sort -u | tr '\n' '|')

for document in $documents; do
  awk '/^ *```/ { code = !code; next } !code' "$document" | grep -oE '`[^`]+`' | tr -d '`' | sed "s,^,$document	,"
done >"$work/said"
tab=$(printf '\t')

# said PATTERN: document, tab, what is said and matches as a whole
said() { grep -E "$tab($1)\$" "$work/said" | sort -u; }

# unknown WORDS: those that are not foreign
unknown() { tr ' ' '\n' <"$1" | sort -u | while read -r word; do case " $foreign " in *" $word "*) ;; *) echo "$word" ;; esac; done; }

# enough NUMBER WHAT: so many were looked at
looked_at=0
enough() {
  [ "$looked_at" -ge "$1" ] || complain "only $looked_at $2 are named"
  looked_at=0
}

# ---- functions of files
for pair in $(said '[a-z_]+\.[ch]: [a-z_]+' | cut -f 2 | tr -d ' ' | sort -u); do
  looked_at=$((looked_at + 1))
  file=${pair%%:*} function=${pair#*:}
  path=$(ls scalloc/"$file" scalloc/preload/"$file" lua_alloc/"$file" runtime_glue/"$file" 2>/dev/null | head -n 1)
  if [ -z "$path" ]; then
    complain "there is no $file ($pair)"
  elif ! grep -qE "^[A-Za-z_].*\<$function\(.*(\{|,|;)?" "$path" && ! grep -qE "^#define $function\>" "$path"; then
    complain "$path does not define $function"
  fi
done
enough 20 functions

# ---- words
joint='[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)+'
{
  xargs grep -IohE "\<$joint\>" <"$work/sources"
  sed 's/.*\.//' "$work/tests"
  tr '/.' '\n\n' <"$work/sources"
  ls "$build/tests"
} | sort -u >"$work/words"
cut -f 2 "$work/said" | sed 's/\<lib\(scalloc_\)/\1/g; s/-D\(SCALLOC_\)/\1/g; s/\([a-z]\)5\.[1345]\>/\1/g' | grep -oE "\<$joint\>" | sort -u >"$work/named"
looked_at=$(wc -l <"$work/named")
comm -23 "$work/named" "$work/words" >"$work/missing"
for word in $(unknown "$work/missing"); do
  complain "$word is nowhere in the sources: $(grep -w -m 1 "$word" "$work/said")"
done
enough 300 words

# ---- files
# there PLACE FILE: as a path from the root, the document's folder, a folder of sources, or the system's headers
there() {
  set -- "$1" "${2#<}"
  set -- "$1" "${2%>}"
  case $2 in
  build/tests/* | build/bin/*) set -- "$1" "$build/${2#build/}" ;;
  build/* | lib/* | share/* | bin/*) return 0 ;; # made on request; of an installation
  */*) ;;
  *) grep -qxF "$2" "$work/files"; return ;;
  esac
  for path in $2 $1/$2 scalloc/include/$2 lua_alloc/include/$2 runtime_glue/include/$2 tests/$2 /usr/include/$2 /usr/include/*-linux-gnu/$2; do
    [ ! -e "$path" ] || return 0
  done
  return 1
}
kinds='c|h|cc|lua|sh|py|scm|cmake|txt|csv|json|md|svg'
said "<?[A-Za-z_.]+(/[A-Za-z0-9_.*-]+)+/?>?|[a-z_]+\*?/|[a-z_A-Z-]+\.($kinds)" >"$work/named"
while IFS=$tab read -r document file; do
  looked_at=$((looked_at + 1))
  case " $foreign " in *" $file "*) continue ;; esac
  case $file in *NAME*) continue ;; esac
  ! grep -qxF "$file" "$work/tests" || continue
  there "$(dirname "$document")" "$file" || complain "$document: there is no $file"
done <"$work/named"
enough 150 files

# ---- tests
said "(${labels%|})\.[a-z_0-9*.]+" | cut -f 2 | grep -vE "\.($kinds)\$" | sort -u >"$work/named"
while read -r name; do
  looked_at=$((looked_at + 1))
  grep -qx "$(echo "$name" | sed 's/\./\\./g; s/\*/.*/g')" "$work/tests" || complain "there is no test $name"
done <"$work/named"
enough 20 tests

# ---- options
cut -f 2 "$work/said" | grep -oE -- '--[a-z][a-z-]+' | sort -u >"$work/named"
xargs grep -IohE -- '--[a-z][a-z-]+|"[a-z][a-z-]+"' <"$work/sources" | sed 's/^"/--/; s/"$//' | sort -u >"$work/words"
looked_at=$(wc -l <"$work/named")
comm -23 "$work/named" "$work/words" >"$work/missing"
for option in $(unknown "$work/missing"); do complain "no program knows $option"; done
enough 20 options

# ---- scenarios
grep -oh 'scenario "[^"]*"' docs/protocols.md | sed 's/^scenario "//; s/"$//' | sort -u >"$work/named"
while read -r scenario; do
  looked_at=$((looked_at + 1))
  grep -rqF "\"$scenario\"" tests/model tests/glue/model --include='*.c' --include='*.h' --include='*.cmake' ||
    complain "the model has no scenario \"$scenario\""
done <"$work/named"
enough 10 scenarios
exit $failed

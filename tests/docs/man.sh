# The man pages: sh man.sh SOURCE BUILD. They are formatted without a warning, name every option of their programs' --help and
# every public function, and describe no option that is not there.
source=$1 build=$2 failed=0
complain() { echo "FAILED: $*"; failed=1; }
pages=$source/docs/man
text=$build/docs-man
rm -rf "$text"
mkdir -p "$text"

for page in "$pages"/*; do
  if command -v groff >/dev/null; then
    groff -man -ww -Tutf8 -Z -rLL=100n "$page" 2>&1 >/dev/null | grep . && complain "$page: groff warns"
  fi
  if command -v mandoc >/dev/null; then
    mandoc -Tlint -Wwarning "$page" | grep -v 'missing date' && complain "$page: mandoc warns"
  fi
  sed 's/\\-/-/g; s/\\&//g; s/"//g' "$page" >"$text/$(basename "$page")"
done

# options_of TEXT: the long options and one-letter options at the beginning of lines
options_of() { sed -n 's/^ \{1,8\}\(-[A-Za-z]\|--[a-z][a-z-]*\).*/\1/p' "$1" | sort -u; }

# program NAME [COMMAND]: the page and the help say the same
program() {
  [ -x "$2" ] || return 0
  "$2" --help >"$text/help" 2>&1
  options_of "$text/help" >"$text/options"
  [ -s "$text/options" ] || complain "$1 --help names no options"
  while read -r option; do
    grep -q -e "^\.\(B\|BI\|BR\) $option\>" "$text/$1.1" || complain "$1(1) does not describe $option"
  done <"$text/options"
  sed -n 's/^\.\(B\|BI\|BR\) \(-[A-Za-z]\|--[a-z][a-z-]*\).*/\2/p' "$text/$1.1" | sort -u | while read -r option; do
    grep -q -e "^ *$option\>" "$text/help" || echo "$1(1) describes $option, which --help does not know"
  done >"$text/unknown"
  [ -s "$text/unknown" ] && { cat "$text/unknown"; failed=1; }
}
program scalloc-lua "$build/bin/scalloc-lua"
program scalloc-run "$build/bin/scalloc-run"
program scalloc-top "$build/bin/scalloc-top"

for function in $(grep -o '\<scalloc_[a-z_]*(' "$source/scalloc/include/scalloc/scalloc.h" | tr -d '(' | sort -u); do
  grep -q "\<$function(\?\>" "$text/scalloc.3" || complain "scalloc(3) does not name $function"
done
for header in lua_alloc.h runtime_glue.h boehm.h; do grep -q "scalloc/$header" "$text/scalloc.3" || complain "scalloc(3): $header"; done
for option in $(grep -o '"SCALLOC_[A-Z_]*"' "$source/scalloc/options.c" | tr -d '"'); do
  grep -q "$option" "$text/scalloc.3" || complain "scalloc(3) does not name $option"
  grep -q "$option" "$source/README.md" || complain "README.md does not name $option"
done
exit $failed

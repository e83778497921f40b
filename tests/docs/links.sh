# Every link of every document: sh links.sh [--external] [SOURCE]
# Relative links lead to a file that is there, and to a heading in it. Links to the outside are https and well formed; with --external,
# and a network, curl asks for each. Pages that the man pages refer to, if they are ours, are there.
external=false
if [ "${1-}" = --external ]; then external=true; shift; fi
cd "${1:-$(dirname "$0")/../..}" || exit 1
failed=0
complain() { echo "$*"; failed=1; }

# prose FILE: without blocks and pieces of code
prose() { awk '/^ *```/ { code = !code; next } !code' "$1" | sed 's/`[^`]*`//g'; }

# anchors FILE: what its headings are called in links; the second of a name has -1 behind it
anchors() {
  awk '/^ *```/ { code = !code }
    !code && /^#+ / {
      sub(/^#+ */, "")
      name = tolower($0)
      gsub(/[^a-z0-9 _-]/, "", name)
      gsub(/ /, "-", name)
      print seen[name]++ ? name "-" seen[name] - 1 : name
    }' "$1"
}

# outside URL DOCUMENT
outside() {
  abroad=$((abroad + 1))
  printf '%s\n' "$1" | grep -qE '^https://[a-z0-9-]+(\.[a-z0-9-]+)+(:[0-9]+)?(/[A-Za-z0-9._~:/?#@!$&*+,;=%-]*)?$' ||
    complain "$2: $1 is no https address"
  if $external; then
    curl -fsSL -o /dev/null --max-time 30 --retry 2 "$1" </dev/null || complain "$2: $1 does not answer"
  fi
}

count=0 abroad=0
for document in $(find . -name '*.md' -not -path './build*' -not -path './.git/*'); do
  for link in $(prose "$document" | grep -oE '\]\([^) ]*|^\[[^]]+\]: *[^ ]+' | sed 's/^\](//; s/^\[[^]]*\]: *//'); do
    count=$((count + 1))
    case $link in *://* | mailto:*) continue ;; esac
    path=${link%%#*}
    target=$document
    [ -z "$path" ] || target=$(dirname "$document")/$path
    if [ ! -e "$target" ]; then
      complain "$document: $link leads nowhere"
      continue
    fi
    case $link in
    *'#'*) anchors "$target" | grep -qxF -e "${link#*#}" || complain "$document: $link: no such heading" ;;
    esac
  done
  for link in $(prose "$document" | grep -oE '[a-z]+://[^] )>"]+' | sed 's/[.,;:]$//'); do outside "$link" "$document"; done
done
[ "$count" -gt 80 ] || complain "only $count links were found"

pages=0
for page in docs/man/*; do
  for name in $(sed -n 's/\\-/-/g; s/^\.BR \([a-z-]*scalloc[a-z-]*\) (\([0-9]\)).*/\1.\2/p' "$page"); do
    pages=$((pages + 1))
    [ -e "docs/man/$name" ] || complain "$page: there is no page $name"
  done
  for link in $(grep -oE '[a-z]+://[^] )>"]+' "$page" | sed 's/\\-/-/g; s/[.,;:]$//'); do outside "$link" "$page"; done
done
[ "$pages" -ge 4 ] || complain "the man pages refer to $pages pages"

if [ "$abroad" = 0 ]; then abroad='none to the outside'; else abroad="$abroad to the outside"; fi
echo "$count links of documents, $pages of man pages, $abroad"
exit $failed

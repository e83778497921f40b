# Every relative link of every document leads to a file that is there, and to a heading in it: sh links.sh SOURCE
cd "$1" || exit 1
failed=0

# anchors FILE: what its headings are called in links
anchors() {
  awk '/^```/ { code = !code } !code && /^#+ / { sub(/^#+ */, ""); print tolower($0) }' "$1" | tr -d '`*.,:;()/?!"'"'" | sed 's/ /-/g'
}

count=0
for document in $(find . -name '*.md' -not -path './build*' -not -path './.git/*'); do
  links=$(awk '/^```/ { code = !code } !code' "$document" | sed 's/`[^`]*`//g' | grep -o '\]([^) ]*)' | sed 's/^](//; s/)$//')
  for link in $links; do
    count=$((count + 1))
    case $link in http://* | https://* | mailto:*) continue ;; esac
    path=${link%%#*}
    target=$document
    [ -z "$path" ] || target=$(dirname "$document")/$path
    if [ ! -e "$target" ]; then
      echo "$document: $link leads nowhere"
      failed=1
      continue
    fi
    case $link in
    *'#'*) anchors "$target" | grep -qxF -e "${link#*#}" || { echo "$document: $link: no such heading"; failed=1; } ;;
    esac
  done
done
[ "$count" -gt 20 ] || { echo "only $count links were found"; failed=1; }
exit $failed

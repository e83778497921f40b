# What documents say of the code: sh names.sh SOURCE. `file.c: function` names a function that is defined in that file of scalloc/,
# lua_alloc/ or runtime_glue/; `scenario "..."` of docs/protocols.md one that the model has.
cd "$1" || exit 1
failed=0 count=0
list=$(grep -ohE '`[a-z_]+\.[ch]: [a-z_]+`' README.md scalloc/README.md docs/design.md docs/walk.md docs/protocols.md | tr -d '`' | tr -d ' ' | sort -u)
for pair in $list; do
  count=$((count + 1))
  file=${pair%%:*} function=${pair#*:}
  path=$(ls scalloc/"$file" lua_alloc/"$file" runtime_glue/"$file" 2>/dev/null | head -n 1)
  if [ -z "$path" ]; then
    echo "there is no $file ($pair)"
    failed=1
  elif ! grep -qE "^[A-Za-z_].*\<$function\(.*(\{|,|;)?" "$path" && ! grep -qE "^#define $function\>" "$path"; then
    echo "$path does not define $function"
    failed=1
  fi
done
[ "$count" -ge 20 ] || { echo "only $count functions are named"; failed=1; }
grep -oh 'scenario "[^"]*"' docs/protocols.md | sed 's/^scenario "//; s/"$//' | sort -u >"${TMPDIR:-/tmp}/scenarios.$$"
while read -r scenario; do
  grep -rqF "\"$scenario\"" tests/model tests/glue/model --include='*.c' --include='*.h' --include='*.cmake' ||
    { echo "the model has no scenario \"$scenario\""; failed=1; }
done <"${TMPDIR:-/tmp}/scenarios.$$"
rm -f "${TMPDIR:-/tmp}/scenarios.$$"
exit $failed

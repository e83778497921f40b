# blocks.sh SOURCE FOLDER: the code blocks of all documents below SOURCE, each in a file FOLDER/DOCUMENT:LINE.KIND, with "," for the
# "/" of the document's path. A block says of what kind it is: c, cpp, sh, lua, "lua types" (as lua, on a heap that notes types),
# or text.
cd "$1" || exit 1
find -L . -name '*.md' -not -path './build*' -not -path './.git/*' | sed 's,^\./,,' | sort | while read -r document; do
  awk -v document="$document" -v path="$2/$(echo "$document" | tr / ,)" '
    /^ *```/ && inside { inside = 0; close(file); next }
    /^ *```/ {
      inside = 1
      match($0, /^ */)
      indent = RLENGTH
      kind = substr($0, indent + 4)
      if (kind !~ /^(c|cpp|sh|lua|lua types|text)$/) printf "FAILED: %s:%d: a block of kind \"%s\"\n", document, NR, kind
      sub(/ /, "_", kind)
      file = path ":" NR "." kind
      printf "" > file
      next
    }
    inside { print substr($0, indent + 1) > file }
    END { if (inside) printf "FAILED: %s: a block without end\n", document }' "$document"
done

# The tests of the documents find what is wrong: sh control.sh SOURCE BUILD COMPILER LIBRARY... Sources with one small document are
# given to code.sh, as they are good and with one fault each; a copy of all with a document full of faults to links.sh and names.sh.
source=$1 build=$2 compiler=$3
shift 3
libraries=$*
scratch=$build/docs-control
failed=0

# sources: the product with one document, whose every block is good
sources() {
  rm -rf "$scratch"
  mkdir -p "$scratch/tests/docs"
  for folder in scalloc lua_alloc runtime_glue; do
    mkdir "$scratch/$folder"
    ln -s "$source/$folder/include" "$scratch/$folder/"
  done
  mkdir "$scratch/tests/fuzz"
  ln -s "$source/tests/fuzz/corpus" "$scratch/tests/fuzz/"
  cp "$source/tests/docs/blocks.sh" "$source/tests/docs/fragment.h" "$scratch/tests/docs/"
  printf 'README.md\toptions\tsh tool *\ttakes long\n' >"$scratch/tests/docs/commands.txt"
  echo 'echo "  --fast  less"' >"$scratch/tool"
  cat >"$scratch/README.md" <<'DOCUMENT'
# A product
```c
#include <stdlib.h>
int main(void) { return 0; }
```
```c
void *p = scalloc_malloc(100); scalloc_free(p);
```
```lua
print(6 * 7)      --> 42
```
```sh
cc program.c && ./a.out
sh tool --fast    # minutes
```
```cpp
#include <scalloc/scalloc.hpp>
int main() { return scalloc::allocator<int>() == scalloc::allocator<long>() ? 0 : 1; }
```
DOCUMENT
}

# judge STATUS WORDS: code.sh ends so, and says so
judge() {
  mkdir -p "$scratch/build"
  ln -sfn "$build/bin" "$scratch/build/bin"
  ln -sfn "$build/lib" "$scratch/build/lib"
  sh "$source/tests/docs/code.sh" "$scratch" "$scratch/build" "$compiler" $libraries >"$scratch/log" 2>&1
  status=$?
  if [ $status != "$1" ] || ! grep -q -e "$2" "$scratch/log"; then
    echo "FAILED: status $status instead of $1, \"$2\" expected:"
    cat "$scratch/log"
    failed=1
  fi
}

# fault FROM TO WORDS: the document with one thing changed
fault() {
  sources
  sed "s~$1~$2~" "$scratch/README.md" >"$scratch/changed"
  ! cmp -s "$scratch/README.md" "$scratch/changed" || { echo "FAILED: nothing to change: $1"; failed=1; }
  mv "$scratch/changed" "$scratch/README.md"
  judge 1 "$3"
}

sources
judge 0 '5 blocks are good'
fault 'return 0' 'return 3' 'FAILED: README.md:2: the program ends with 3'
fault 'return 0' 'return nothing' 'FAILED: README.md:2 does not compile'
fault 'scalloc_malloc(' 'scalloc_alloc(' 'FAILED: README.md:6 does not compile'
fault 'scalloc_free(p)' 'abort()' 'FAILED: README.md:6: the program ends with'
if command -v c++ >/dev/null; then
  fault '0 : 1' '4 : 1' 'FAILED: README.md:16: the program ends with 4'
  fault 'allocator<long>' 'allocator<nothing>' 'FAILED: README.md:16 does not compile'
fi
fault '6 \* 7' '6 * 8' 'FAILED: README.md:9 prints something else'
fault 'print(' 'prin(' 'FAILED: README.md:9'
fault '[.]/a.out' './b.out' 'README.md:13 fails'
fault '[.]/a.out' './a.out; then' 'FAILED: README.md:12 is not for sh'
fault '--fast' '--slow' 'README.md:14: tool does not know --slow'
fault '```lua' '```perl' 'FAILED: README.md:9: a block of kind "perl"'
fault 'sh tool' 'sh ./tool' 'README.md has no command sh tool'

# ---- links and names
rm -rf "$scratch"
mkdir -p "$scratch"
(cd "$source" && tar cf - --exclude='./build*' --exclude=./.git .) | tar xf - -C "$scratch"
tr -d @ >"$scratch/wrong.md" <<'DOCUMENT' # without @ this file would have the names
# Wrong
[no file](nothing.md), [no heading](README.md#nowhere), [no secret](http://example.org/), [no address](https://nowhere).
`heap.c: heap_of_nobody`, `scalloc_of_@nobody`, `scalloc/nothing.c`, `nothing.h`, `unit.nothing`, `--no-@such-option`.
A scenario that no model has is a matter of docs/protocols.md.
DOCUMENT
echo 'scenario "of nothing"' >>"$scratch/docs/protocols.md"
echo '.BR scalloc-nothing (1)' >>"$scratch/docs/man/scalloc-run.1"

# finds WORDS: the log has them
finds() { grep -q -e "$1" "$scratch/log" || { echo "FAILED: not found: $1"; cat "$scratch/log"; failed=1; }; }

sh "$source/tests/docs/links.sh" "$scratch" >"$scratch/log" && failed=1
finds 'nothing.md leads nowhere'
finds '#nowhere: no such heading'
finds 'http://example.org/ is no https address'
finds 'https://nowhere is no https address'
finds 'there is no page scalloc-nothing.1'
sh "$source/tests/docs/names.sh" "$scratch" "$build" >"$scratch/log" && failed=1
finds 'heap.c does not define heap_of_nobody'
finds 'of_nobody is nowhere'
finds 'there is no scalloc/nothing.c'
finds 'there is no nothing.h'
finds 'there is no test unit.nothing'
finds 'no program knows --no-.*option'
finds 'no scenario "of nothing"'
exit $failed

# docs.code finds what is wrong: sh control.sh SOURCE BUILD COMPILER LIBRARY... Sources with one small document are given to code.sh,
# as they are good and with one fault each.
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
judge 0 '4 blocks are good'
fault 'return 0' 'return 3' 'FAILED: README.md:2: the program ends with 3'
fault 'return 0' 'return nothing' 'FAILED: README.md:2 does not compile'
fault 'scalloc_malloc(' 'scalloc_alloc(' 'FAILED: README.md:6 does not compile'
fault 'scalloc_free(p)' 'abort()' 'FAILED: README.md:6: the program ends with'
fault '6 \* 7' '6 * 8' 'FAILED: README.md:9 prints something else'
fault 'print(' 'prin(' 'FAILED: README.md:9'
fault '[.]/a.out' './b.out' 'README.md:13 fails'
fault '[.]/a.out' './a.out; then' 'FAILED: README.md:12 is not for sh'
fault '--fast' '--slow' 'README.md:14: tool does not know --slow'
fault '```lua' '```perl' 'FAILED: README.md:9: a block of kind "perl"'
fault 'sh tool' 'sh ./tool' 'README.md has no command sh tool'
exit $failed

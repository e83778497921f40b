#!/bin/sh
# usage: pictures.sh SOURCE BUILD
# docs/pictures/make.sh makes the pictures that are in its folder, of the same width and height, and none is large.
source=$1 build=$2 failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
sh "$source/docs/pictures/make.sh" "$build" "$work" >"$work/log" 2>&1
status=$?
[ $status != 3 ] || { cat "$work/log"; exit 77; }
[ $status = 0 ] || { cat "$work/log"; exit 1; }

# Width and height: of a PNG behind its head, of an SVG its width alone, since the number of classes may change by one.
extent() {
  case $1 in
  *.png) od -A n -t x1 -j 16 -N 8 "$1" ;;
  *) grep -o 'viewBox="0 0 [0-9]*' "$1" ;;
  esac
}
for kept in "$source"/docs/pictures/*.png "$source"/docs/pictures/*.svg; do
  name=$(basename "$kept")
  [ -s "$work/$name" ] && [ "$(extent "$kept")" = "$(extent "$work/$name")" ] || { echo "$name is not what make.sh makes"; failed=1; }
  [ "$(wc -c <"$kept")" -lt 61440 ] || { echo "$name is large"; failed=1; }
  case $name in *.svg) grep -q 'scalloc-lua&#160;orders.lua' "$work/$name" || { echo "$name shows another program"; failed=1; } ;; esac
done
exit $failed

#!/bin/sh
# usage: docs/pictures/make.sh [BUILD [FOLDER]]
# Makes the pictures of this folder anew, in FOLDER if it is given, with the programs of BUILD (build unless given) and Debian's
# chromium without a window: heap-map.png, what scalloc-lua --heap-map shows; spans.png, scalloc-top --html; terminal.svg,
# scalloc-top in a terminal. Of a Lua program that makes tables and texts, lets go of two in three, and makes others.
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd) || exit 1
bin=$(CDPATH='' cd -- "${1-$root/build}/bin" && pwd) || exit 1
folder=$(CDPATH='' cd -- "${2-$root/docs/pictures}" && pwd) || exit 1
for browser in chromium-headless-shell chromium ''; do
  [ -n "$browser" ] || { echo "no chromium" >&2; exit 3; }
  ! command -v $browser >/dev/null || break
done
work=$(mktemp -d) || exit 1
trap 'exec 9>&-; rm -rf "$work"' EXIT
cd "$work" && mkfifo hold && exec 9<>hold || exit 1

cat >orders.lua <<'END'
local orders, names = {}, {}
for i = 1, 150000 do
  orders[i] = { id = i, lines = { i, i + 1, i + 2 }, note = ("x"):rep(i % 400) }
  if i % 3 == 0 then orders[i - 1], orders[i - 2] = false, false end
end
collectgarbage()
for i = 1, 60000 do names[i] = ("name %d"):format(i):rep(20) end
local page = ("y"):rep(6000000)
if os.getenv "WAITS" then io.stdout:setvbuf "no" print "ready" io.read() end
END

# picture NAME PAGE WIDTH,HEIGHT
picture() {
  HOME=$work timeout 60 $browser --headless --no-sandbox --disable-gpu --hide-scrollbars --disable-lcd-text \
    --force-device-scale-factor=0.75 --font-render-hinting=none --user-data-dir="$work/profile" \
    --window-size="$3" --screenshot="$work/$1.png" "file://$work/$2" >/dev/null 2>&1 && [ -s "$1.png" ] || exit 1
  cp "$1.png" "$folder/"
}

PATH="$bin:$PATH"
scalloc-lua --heap-map=map.html orders.lua || exit 1
picture heap-map map.html 820,640
WAITS=yes scalloc-lua orders.lua <hold >said 9>&- & pid=$!
for i in $(seq 200); do grep -q ready said && break; sleep 0.05; done
scalloc-top --html=spans.html $pid && scalloc-top --once $pid >text || exit 1
kill $pid
picture spans spans.html 800,690

# The text as it stands in a terminal of 104 columns, in a frame.
sed 's/&/\&amp;/g; s/</\&lt;/g' text | awk '
  function kept(text) { gsub(/ /, "\\&#160;", text); return text }
  { line[NR] = substr($0, 1, 104) }
  END {
    height = NR * 16 + 28
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 850 %d\" role=\"img\" ", height
    print "aria-label=\"scalloc-top in a terminal\">"
    printf "<rect width=\"850\" height=\"%d\" rx=\"8\" fill=\"#1d2330\"/>\n", height
    print "<g font-family=\"ui-monospace,monospace\" font-size=\"12.6\" fill=\"#d8dee9\">"
    for (i = 1; i <= NR; i++) {
      bar = match(line[i], /[#.]+$/) && RLENGTH > 4 ? substr(line[i], RSTART) : ""
      text = bar == "" ? line[i] : substr(line[i], 1, RSTART - 1)
      printf "<text x=\"18\" y=\"%d\" textLength=\"%.1f\">%s</text>\n", i * 16 + 12, length(text) * 7.6, kept(text)
      if (bar == "") continue
      full = gsub(/#/, "", bar) * 6
      x = 18 + length(text) * 7.6
      printf "<rect x=\"%.1f\" y=\"%d\" width=\"120\" height=\"9\" fill=\"#3a4560\"/>", x, i * 16 + 4
      printf "<rect x=\"%.1f\" y=\"%d\" width=\"%d\" height=\"9\" fill=\"#3b82c4\"/>\n", x, i * 16 + 4, full
    }
    print "</g>\n</svg>"
  }' >"$folder/terminal.svg"

#!/bin/sh
# usage: page.sh TOP RUN
# The page in a real browser, Debian's chromium without a window: it draws something, says nothing of errors, asks the network for
# nothing, has a square for every span, and is no wider than a telephone.
top=$1 run=$2 failed=0
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || { echo "no chromium"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'kill $pid 2>/dev/null; rm -rf "$work"' EXIT
complain() { echo "$*"; failed=1; }
export HOME="$work"

browse() {
  timeout 60 "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run --disable-background-networking \
    --user-data-dir="$work/profile" --allow-file-access-from-files --enable-logging=stderr "$@" 2>>"$work/log"
}

"$run" perl -e '@a = map { "x" x (10 * ($_ % 300)) } 1 .. 60000; @a[grep { $_ % 3 } 0 .. $#a] = (); $b = "y" x 5e6; $| = 1;
  print "ready\n"; sleep 100' >"$work/said" & pid=$!
for i in $(seq 200); do grep -q ready "$work/said" && break; sleep 0.05; done
"$top" --html="$work/page.html" $pid || exit 1
"$top" --json --once $pid >"$work/figures"
kill $pid

grep -oE '(href|src|url)[=(][^ >)]*' "$work/page.html" && complain "it loads something"
grep -qi '<script' "$work/page.html" && complain "it has a script"
browse --window-size=1160,1400 --screenshot="$work/shot.png" "file://$work/page.html" >/dev/null
[ -s "$work/shot.png" ] || { cat "$work/log"; complain "no screenshot"; exit 1; }

# A second page judges the first and its picture: colours in each part of it, widths, squares.
cat >"$work/judge.html" <<'END'
<!DOCTYPE html><body><img id="shot" src="shot.png"><iframe id="wide" src="page.html" width="1160" height="900"></iframe>
<iframe id="narrow" src="page.html" width="390" height="900"></iframe><script>
addEventListener("load", () => {
  const image = document.getElementById("shot"), canvas = document.createElement("canvas"), verdict = []
  canvas.width = image.naturalWidth, canvas.height = image.naturalHeight
  const context = canvas.getContext("2d", { willReadFrequently: true })
  context.drawImage(image, 0, 0)
  for (let part = 0; part < 4; part++) {
    const data = context.getImageData(0, canvas.height / 4 * part, canvas.width, canvas.height / 4).data, colours = new Set()
    for (let i = 0; i < data.length; i += 4) colours.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2])
    verdict.push("colours=" + (colours.size >= 16))
  }
  for (const id of ["wide", "narrow"]) {
    const page = document.getElementById(id).contentDocument
    verdict.push(id + "=" + (page.documentElement.scrollWidth <= page.documentElement.clientWidth))
  }
  const page = document.getElementById("wide").contentDocument
  verdict.push("squares=" + page.querySelectorAll("svg.map g").length, "sections=" + page.querySelectorAll("section").length)
  const filled = [...page.querySelectorAll("svg.map rect:not(.void)")].every(r => r.getBBox().height > 0 && r.style.fill)
  verdict.push("filled=" + filled)
  document.body.textContent = "verdict " + verdict.join(" ") + " end"
})
</script>
END
browse --dump-dom "file://$work/judge.html" >"$work/dom"
spans=$(sed -n 's/.*"spans_opened":\([0-9]*\).*/\1/p' "$work/figures")
want="verdict colours=true colours=true colours=true colours=true wide=true narrow=true squares=$spans sections=4 filled=true end"
grep -qF "$want" "$work/dom" || complain "not '$want' but: $(grep -o 'verdict.*end' "$work/dom" || tail -n 5 "$work/log")"
grep 'CONSOLE\|ERR_' "$work/log" && complain "the browser complains"
exit $failed

#!/bin/sh
# usage: page.sh TOP RUN [SCALLOC-LUA]
# The pages in a real browser, Debian's chromium without a window: scalloc-top's of a program on malloc and of scalloc-lua, and
# scalloc-lua's own. Each draws something, says nothing of errors, asks the network for nothing, has a square for every span, and
# is no wider than a telephone.
top=$1 run=$2 lua=${3-} failed=0 pages=
for browser in chromium-headless-shell chromium chromium-browser google-chrome ''; do
  [ -n "$browser" ] || { echo "no chromium"; exit 77; }
  ! command -v $browser >/dev/null || break
done
work=$(mktemp -d) || exit 1
trap 'exec 9>&-; [ -z "$pid" ] || kill $pid 2>/dev/null; rm -rf "$work"' EXIT
mkfifo "$work/hold" && exec 9<>"$work/hold" || exit 1
complain() { echo "$*"; failed=1; }
export HOME="$work"

browse() {
  timeout 60 $browser --headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run --disable-background-networking \
    --user-data-dir="$work/profile" --allow-file-access-from-files --enable-logging=stderr "$@" 2>>"$work/log"
}

# waits COMMAND...: a program that says that it is ready and then reads
waits() {
  : >"$work/said"
  "$@" <"$work/hold" >"$work/said" 9>&- & pid=$!
  for i in $(seq 200); do grep -q ready "$work/said" && return; sleep 0.05; done
  complain "$* is not ready"
}

# looks NAME WANTED: the page NAME.html alone and its picture; what the judge is to say of both
looks() {
  pages="$pages $1"
  grep -oE '(href|src|url)[=(][^ >)]*' "$work/$1.html" && complain "$1: it loads something"
  grep -qi '<script' "$work/$1.html" && complain "$1: it has a script"
  browse --window-size=1160,1400 --screenshot="$work/$1.png" "file://$work/$1.html" >/dev/null
  [ -s "$work/$1.png" ] || { cat "$work/log"; complain "$1: no screenshot"; exit 1; }
  echo "$1 colours=true,true,true,true wide=true narrow=true $2 drawn=true" >>"$work/wanted"
}

# of_top NAME: the page of scalloc-top of the program that waits, which then ends
of_top() {
  "$top" --html="$work/$1.html" $pid || exit 1
  spans=$("$top" --json --once $pid | sed -n 's/.*"spans_opened":\([0-9]*\).*/\1/p')
  kill $pid
  pid=
  looks "$1" "squares=$spans sections=4"
}

waits "$run" perl -e '@a = map { "x" x (10 * ($_ % 300)) } 1 .. 60000; @a[grep { $_ % 3 } 0 .. $#a] = (); $b = "y" x 5e6; $| = 1;
  print "ready\n"; <STDIN>'
of_top malloc
if [ -n "$lua" ]; then
  work_of_lua='t = {} for i = 1, 100000 do t[i] = { ("x"):rep(i % 500), i } end for i = 1, #t, 3 do t[i] = false end
    collectgarbage() s = ("y"):rep(5000000)'
  waits "$lua" -e "$work_of_lua io.stdout:setvbuf 'no' print 'ready' io.read()"
  of_top lua_seen
  "$lua" --heap-map="$work/lua.html" -e "$work_of_lua" || complain "scalloc-lua --heap-map: status $?"
  looks lua "squares=all sections=4"
fi

# Another page judges them and their pictures: colours in each quarter, widths, squares, and that what is drawn has an extent.
cat >"$work/judge.html" <<'END'
<!DOCTYPE html><body><script>
const verdict = [], names = location.hash.slice(1).split(",")
const loaded = (kind, set) => new Promise(done => {
  const element = document.createElement(kind)
  element.onload = () => done(element)
  set(element)
  document.body.append(element)
})
const frame = (name, width) => loaded("iframe", e => { e.width = width, e.height = 900, e.src = name + ".html" })
const page_of = frame => frame.contentDocument
const fits = page => page.documentElement.scrollWidth <= page.documentElement.clientWidth

function colours(image) {
  const canvas = document.createElement("canvas"), found = []
  canvas.width = image.naturalWidth, canvas.height = image.naturalHeight
  const context = canvas.getContext("2d", { willReadFrequently: true })
  context.drawImage(image, 0, 0)
  for (let part = 0; part < 4; part++) {
    const data = context.getImageData(0, canvas.height / 4 * part, canvas.width, canvas.height / 4).data, set = new Set()
    for (let i = 0; i < data.length; i += 4) set.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2])
    found.push(set.size >= 16)
  }
  return found.join(",")
}

/* scalloc-lua's page counts its spans in a table; of a row it shows 64 and says how many more there are. */
function squares(page) {
  const map = page.querySelectorAll("svg.map g")
  if (map.length) return map.length
  let same = true
  for (const row of page.querySelectorAll("tr:has(.squares)")) {
    const more = row.querySelector("em"), shown = row.querySelectorAll(".squares i").length
    const count = text => parseInt(text.replace(/[^0-9]/g, ""))
    same &&= shown + (more ? count(more.textContent) : 0) === count(row.cells[1].textContent)
  }
  return same && page.querySelector(".squares i") ? "all" : "some"
}

function drawn(page) {
  const bars = [...page.querySelectorAll("svg.map rect:not(.void)")], lines = [...page.querySelectorAll("polyline.used")]
  const boxes = [...page.querySelectorAll(".squares i")]
  return bars.length + lines.length > 0 && bars.every(r => r.getBBox().height > 0 && r.style.fill) &&
    lines.every(l => l.getBBox().width > 500) && boxes.every(b => b.getBoundingClientRect().height > 5)
}

addEventListener("load", async () => {
  for (const name of names) {
    const shot = await loaded("img", e => { e.src = name + ".png" })
    const wide = page_of(await frame(name, 1160)), narrow = page_of(await frame(name, 390))
    verdict.push(`${name} colours=${colours(shot)} wide=${fits(wide)} narrow=${fits(narrow)} squares=${squares(wide)} ` +
      `sections=${wide.querySelectorAll("section").length} drawn=${drawn(wide)}`)
  }
  document.body.textContent = "\n" + verdict.join("\n") + "\nend\n"
})
</script>
END
browse --virtual-time-budget=20000 --dump-dom "file://$work/judge.html#$(echo $pages | tr ' ' ',')" >"$work/dom"
grep '^[a-z_]* colours=' "$work/dom" >"$work/verdict"
diff "$work/wanted" "$work/verdict" || { complain "wanted (<), judged (>)"; tail -n 5 "$work/log"; }
grep 'CONSOLE\|ERR_' "$work/log" && complain "the browser complains"
exit $failed

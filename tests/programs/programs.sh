# programs.sh - sourced by run: for each program what it needs, and what it does. run_NAME prints what must be the same on both
# sides and nothing that may differ, such as times and addresses; it is run in an empty folder of its own.

needs_sort() { echo sort; }
run_sort() {
  # It closes stderr before it ends, so it tells of itself otherwise.
  [ "$on" = glibc ] || under sort /proc/self/maps | grep -q libscalloc_preload && echo 'mapped' >&2
  seq 1 "$(size 2000000 100000)" | under awk '{ print ($1 * 7919) % 1000003, "line", $1 }' >lines || return
  under sort --parallel=2 -S 64M -k1,1n -k3,3n lines | md5sum
  under sort -u -R --random-source=lines lines | wc -l
}

needs_perl() { echo perl; }
run_perl() {
  under perl -e '
    use strict; use Digest::MD5 "md5_hex"; my (%h, @l); my $n = shift;
    for my $i (1 .. $n) { my $k = "key " . ($i * 7919 % 100003); $h{$k} .= chr(65 + $i % 26); push @l, [$i, $k, { n => $i }] if $i % 3; }
    my $d = md5_hex(join "", map { "$_$h{$_}" } sort keys %h);
    @l = sort { $a->[1] cmp $b->[1] || $b->[0] <=> $a->[0] } @l; my $s = 0; $s = ($s * 31 + $_->[2]{n}) % 1000000007 for @l;
    my $t = join ",", map { "word$_" } 1 .. $n / 10; my $c = () = $t =~ /word\d*7\b/g; (my $u = $t) =~ s/(\d+)/sprintf "%08x", $1/ge;
    delete $h{$_} for grep { /7/ } keys %h; print "$d $s $c ", md5_hex($u), " ", scalar(keys %h), "\n";' "$(size 600000 100000)"
}

needs_lua() { echo lua5.4; }
run_lua() {
  for script in $(size 'json strings events lru_cache persistent' 'json strings'); do
    under lua5.4 "$root/examples/scripts/$script.lua" "$(size 100 20)" || return
  done
}

needs_busted() { echo busted lua5.4; }
run_busted() {
  mkdir spec
  cat >spec/words_spec.lua <<'END'
describe("tables of strings", function()
  for size = 1, 200 do
    it("keeps " .. size .. " entries", function()
      local t = {}
      for i = 1, size * 20 do t["key" .. i] = ("x"):rep(i % 100) .. i end
      for i = 1, size * 20, 7 do assert.are.equal(("x"):rep(i % 100) .. i, t["key" .. i]) end
      assert.has_error(function() error({ size }) end)
    end)
  end
end)
END
  under busted --output=plainTerminal spec | sed 's/ : .*//'
}

needs_sqlite() { echo sqlite3; }
run_sqlite() {
  under sqlite3 file.db "
    PRAGMA journal_mode=MEMORY;
    CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, s TEXT);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $(size 600000 100000))
      INSERT INTO t SELECT i, i * 7919 % 1000003, printf('text %d %s', i, substr('abcdefghijklmnopqrstuvwxyz', i % 26)) FROM n;
    CREATE INDEX by_k ON t (k);
    SELECT count(*), sum(id * rank % 1009) FROM (SELECT id, row_number() OVER (ORDER BY s DESC, k) AS rank FROM t);
    DELETE FROM t WHERE k % 3 = 0; VACUUM; PRAGMA integrity_check; SELECT count(*), group_concat(s) IS NULL FROM t;" &&
    under sqlite3 file.db 'SELECT * FROM t ORDER BY s, k DESC' | md5sum
}

needs_git() { echo git; git -C "$root" rev-parse --git-dir >/dev/null 2>&1 || echo repository; }
run_git() {
  under git clone -q --no-local "$root" copy && cd copy || return
  git config user.name t && git config user.email t@example.org
  under git fsck --full --strict && under git log --stat -n "$(size 300 50)" | md5sum
  under git -c gc.auto=0 gc -q $(size --aggressive '') && under git fsck --full && git count-objects | sed 's/, .*//'
  under git log -p -n "$(size 60 10)" | md5sum && under git blame README.md | md5sum
  under git checkout -q -b other 'HEAD~5' && under git merge -q -m merged '@{-1}' && under git rev-parse 'HEAD^{tree}'
}

# What the compiler makes must be the same to the byte.
needs_gcc() { echo gcc ar make; }
run_gcc() {
  {
    printf '.PHONY: all\nall: all.o\n'
    echo 'all.o: $(patsubst %.c,%.o,$(notdir $(wildcard '"$root/scalloc/$(size '*' '[m-s]*').c"')))'
    printf '\tld -r -o $@ $^\n'
    echo '%.o: '"$root"'/scalloc/%.c'
    printf '\tgcc -O2 -g -std=c11 -D_GNU_SOURCE -I%s/scalloc -I%s/scalloc/include -c $< -o $@\n' "$root" "$root"
  } >Makefile
  under make -s -j2 && md5sum all.o
}

needs_gxx() { echo g++; }
run_gxx() {
  cat >many.cc <<'END'
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>
template <int N> struct deep { std::map<int, std::vector<std::variant<int, std::string, std::shared_ptr<deep<N - 1>>>>> m; deep<N - 1> next; };
template <> struct deep<0> { std::unordered_map<std::string, std::function<int(int)>> f; };
int main() {
  deep<15> d;
  d.m[1].push_back(std::string("one"));
  std::cout << d.m.size() << std::regex_replace(std::string("a1b2"), std::regex("[0-9]+"), "#") << std::endl;
}
END
  for i in 1 2; do under g++ -std=c++17 -O2 -c many.cc -o many$i.o & done
  wait
  md5sum many1.o many2.o && under g++ -std=c++17 -o many many1.o && under ./many
}

needs_cmake() { echo cmake ninja gcc g++; }
run_cmake() {
  under cmake -S "$root" -B out -G Ninja -DCMAKE_BUILD_TYPE=Release -DSCALLOC_BUILD_TESTS=ON >/dev/null &&
    under ninja -C out -j2 scalloc_shared scalloc_runtime_shared test_header >/dev/null && out/tests/test_header &&
    md5sum out/lib/libscalloc.so.* out/lib/libscalloc_runtime.so.* | sed 's! .*/! !'
}

# Its small objects come from malloc too. Its tests look at what the programs they start write to stderr: no statistics.
needs_python() { echo /usr/bin/python3; }
run_python() {
  [ "$on" = glibc ] || under /usr/bin/python3 -c 'print("mapped" if "libscalloc_preload" in open("/proc/self/maps").read() else "")' >&2
  for module in $(size 'test_json test_re test_dict test_threading test_set test_list' 'test_json'); do
    PYTHONMALLOC=malloc under env -u SCALLOC_STATS /usr/bin/python3 -m test -q "$module" 2>&1 | grep -o 'tests* OK.*\|SUCCESS\|FAIL.*\|failed.*' || return
    echo "$module"
  done
}

needs_node() { echo node; }
run_node() {
  cat >work.js <<'END'
const { createHash } = require("crypto"), { Worker, isMainThread, parentPort } = require("worker_threads"), zlib = require("zlib");
function work(n) {
  const map = new Map(), buffers = [];
  for (let i = 0; i < n; i++) {
    map.set("key" + (i * 7919) % 50021, { i, list: [i, String(i)], text: "x".repeat(i % 200) });
    if (i % 10 === 0) buffers.push(Buffer.alloc(1000 + i % 5000, i % 256));
  }
  const json = JSON.stringify([...map]), packed = zlib.gzipSync(json, { level: 6 });
  if (zlib.gunzipSync(packed).toString() !== json) throw new Error("zlib");
  return createHash("sha256").update(json).update(Buffer.concat(buffers)).digest("hex");
}
const n = Number(process.argv[2]);
if (!isMainThread) parentPort.postMessage(work(n));
else {
  console.log(work(n));
  for (let i = 0; i < 3; i++) new Worker(__filename, { argv: [n] }).on("message", m => console.log(m)).on("error", e => { throw e; });
}
END
  under node work.js "$(size 200000 40000)"
}

# Both have libgc beside malloc.
needs_guile() { echo guile; }
run_guile() {
  under guile --no-auto-compile -c "
    (use-modules (ice-9 regex) (srfi srfi-1) (rnrs bytevectors))
    (define (tree n) (if (= n 0) '() (list (tree (- n 1)) (number->string n) (tree (- n 1)))))
    (define (size t) (if (null? t) 0 (+ 1 (size (car t)) (size (caddr t)))))
    (define table (make-hash-table))
    (do ((i 0 (+ i 1))) ((= i $(size 200000 30000)))
      (hash-set! table (string-append \"key\" (number->string (modulo (* i 7919) 10007))) (make-bytevector 100 (modulo i 256))))
    (display (list (size (tree $(size 17 13))) (hash-count (const #t) table)
      (string-length (regexp-substitute/global #f \"[0-9]+\" (string-join (map number->string (iota 3000)) \" \") 'pre \"n\" 'post))
      (modulo (expt 7 5000) 1000000007) (length (delete-duplicates (map (lambda (i) (modulo (* i i) 997)) (iota 2000))))))
    (newline)"
}

needs_w3m() { echo w3m; }
run_w3m() {
  awk -v n="$(size 4000 500)" 'BEGIN {
    print "<html><title>t</title><body><table border=1>"
    for (i = 0; i < n; i++) printf "<tr><td>%d<td><a href=\"#%d\">cell %d</a><td>%s</tr>\n", i, i, i * i, substr("lorem ipsum dolor sit amet", i % 20)
    print "</table>"; for (i = 0; i < n; i++) printf "<p id=%d>A <b>paragraph</b> &amp; number %d.</p>\n", i, i; print "</body></html>" }' >page.html
  HOME=$PWD under w3m -dump -T text/html page.html | md5sum
}

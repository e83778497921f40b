#!/bin/sh
# usage: file.sh TOP RUN WAITS [SCALLOC-LUA]
# scalloc-top FILE shows what it was told before, in every way; a file that is no whole picture is refused in one line.
top=$1 run=$2 waits=$3 lua=${4-} failed=0
work=$(mktemp -d) || exit 1
trap 'exec 9>&-; rm -rf "$work"' EXIT
cd "$work" && mkfifo hold && exec 9<>hold || exit 1
unset LD_PRELOAD
export SCALLOC_PURGE_DELAY_MS=-1 # nothing changes while it waits
complain() { echo "$*"; failed=1; }

# same WHAT ONE OTHER: but for what the system says of the process as a whole, and the second in which it was
same() {
  for file in "$2" "$3"; do
    sed '/^process: resident/d; /in memory<\/div>/d; /its peak/d; /: kept on /d; s/, on [-0-9]* at [0-9:]*<//' "$file" >"$file.same"
  done
  cmp "$2.same" "$3.same" || complain "$1 is another from the file"
}

# kept COMMAND...: of a program that waits, the process and the file tell the same
kept() {
  : >said
  "$@" <hold >said 9>&- & pid=$!
  for i in $(seq 200); do grep -q ready said && break; sleep 0.05; done
  "$top" --once $pid >text.process && "$top" --html=page.process $pid && "$top" --json=kept.json $pid || complain "$*: status $?"
  "$top" kept.json >text.file && "$top" --html=page.file ./kept.json || complain "$*: status $? from the file"
  same text text.process text.file
  head -n 1 text.file | grep -q '^kept.json: kept on 20[0-9][0-9]-[0-9-]* at [0-9:]*$' ||
    complain "not when it was kept: $(head -n 1 text.file)"
  ! grep -q ' kept ' text.process || complain "a process is no file"
  same page page.process page.file
  "$top" --json kept.json | cmp - kept.json || complain "the file is another when it is written again"
  kill $pid
  wait $pid 2>/dev/null
}
kept "$run" "$waits"
kept "$run" --checked "$waits"
kept "$run" perl -e '@a = map { "x" x (10 * ($_ % 300)) } 1 .. 9000; @a[grep { $_ % 3 } 0 .. $#a] = (); $b = "y" x 5e6; undef $b;
  $b = "z" x 3e6; $| = 1; print "ready\n"; <STDIN>'
[ -z "$lua" ] || kept "$lua" -e 't = {} for i = 1, 5000 do t[i] = ("x"):rep(i) end io.stdout:setvbuf "no" print "ready" io.read()'

# at the end of a program
"$run" --heap-map=end.json perl -e '$b = "y" x 5e6' || complain "scalloc-run: status $?"
"$top" --html=end.html end.json && grep -q ', at its end, [-0-9]* [0-9:]*<' end.html || complain "no page of the end"

# white space and the order of members do not matter; of several pictures the last is shown
sed 's/[{,]/&\n  /g; s/:/ : /g' end.json | sed 's/"name" : .*/"name":"other \\"\\\\ way",/' >spaced.json
"$top" spaced.json | grep -q '^process [0-9]*  other "\\ way$' || complain "white space matters"
sed 's/^{\("pid":[0-9]*\),\(.*\)}$/{\2,\1}/' end.json >turned.json
"$top" --json turned.json | cmp - end.json || complain "the order matters"
# a name that is no text, or would move the cursor, is shown as such text, and written as JSON that others read
printf '\200\303\251\303(\302\233\033[2J\355\240\200\360\237\220\233\342\202' >name
(printf '%s' 's/"name":"\([^"\]\|\\.\)*"/"name":"'; cat name; printf '"/') >rename.sed
LC_ALL=C sed -f rename.sed end.json >renamed.json
"$top" --json renamed.json >out 2>err && complain "a control character in a string is no JSON"
LC_ALL=C sed -i 's/\x1b/ /' renamed.json
"$top" --json renamed.json >out || complain "a name is refused"
perl -MEncode -ne 'my ($name) = /"name":"([^"]*)"/; $name = decode("UTF-8", $name, Encode::FB_CROAK);
  exit($name ne "?\xe9?(  [2J?\x{1f41b}?")' out || complain "a name: $(head -c 300 out)"
cp "$(command -v sleep)" "./$(printf 'x%.0s' $(seq 60))$(printf '\303\251\303\251')" && {
  "$run" ./x*x?* 30 & pid=$!
  for i in $(seq 200); do "$top" --json=cut.json $pid 2>/dev/null && break; sleep 0.05; done
  kill $pid; wait $pid 2>/dev/null
  perl -MEncode -ne 'exit(decode("UTF-8", $_, Encode::FB_CROAK) !~ m,"name":"./x{60}\?",)' cut.json ||
    complain "a name that was cut: $(head -c 200 cut.json)"
}
cat kept.json end.json >two.json
"$top" --json two.json | cmp - end.json || complain "not the last picture"

# refuses WHY FILE: one line that says so, nothing on standard output, and status 1
refuses() {
  "$top" "$2" >out 2>err
  status=$?
  [ $status = 1 ] && [ ! -s out ] && [ "$(wc -l <err)" = 1 ] && grep -q "^scalloc-top: $2: .*$1" err ||
    complain "$2: status $status: $(cat out err), not '$1'"
}
bytes=$(($(wc -c <end.json) - 1))
for length in 1 2 7 10 30 60 100 500 1000 $((bytes / 2)) $((bytes - 2)) $((bytes - 1)); do
  head -c $length end.json >cut
  refuses 'ends in the middle' cut
done
(cat kept.json; head -c 1000 end.json) >second_cut
refuses 'ends in the middle' second_cut
: >empty
refuses 'no picture in it' empty
refuses 'No such file' nowhere
refuses 'Is a directory' .
refuses 'not what' "$0"
"$top" --html=end.html end.json && refuses 'not what' end.html
spoilt() {
  sed "$2" end.json >spoilt
  cmp -s spoilt end.json && complain "$2 spoils nothing"
  refuses "$1" spoilt
}
spoilt 'another version' 's/"format":1/"format":2/'
spoilt 'not what' 's/"format":1,//'
spoilt 'not what' 's/"live":/"alive":/g'
spoilt 'not what' 's/"live":[0-9]*/"live":1/'
spoilt 'not what' 's/"state":"hot"/"state":"warm"/'
spoilt 'not what' 's/"block":16,/"block":17,/g'
spoilt 'not what' 's/\("map":.*\)"spans":1,/\1"spans":99999999999999999999,/'
spoilt 'not what' 's/\("map":.*\)"spans":1,/\1"spans":-1,/'
spoilt 'not what' 's/\("map":.*\)"spans":1,/\1"spans":0,/'
spoilt 'not what' 's/"map":\[{/"map":[,{/'
spoilt 'not what' 's/$/ more/'
spoilt 'not what' 's/"time":[0-9]*/"time":99999999999999999/'
spoilt 'not what' 's/"time":[0-9]*/"time":253402300800/'
spoilt 'not what' 's/"pid":[0-9]*,/&&/'
spoilt 'not what' 's/"pid":\([0-9]*\),\("format":1\),/\2,\2,/'
spoilt 'not what' 's/"reserved_bytes":[0-9]*/"reserved_bytes":9007199254740992000/'
spoilt 'not what' 's/"reserved_bytes":[0-9]*/"reserved_bytes":2097153/'
spoilt 'not what' 's/"reserved_bytes":[0-9]*/"reserved_bytes":2097152/'
spoilt 'not what' 's/"spans_opened":[0-9]*/"spans_opened":1/'
spoilt 'not what' 's/\("states":{"hot":{"spans":\)/\11/'
spoilt 'not what' 's/\("purged":{[^}]*"live":\)0/\11/'
spoilt 'not what' 's/"lent":{/"borrowed":{/'
spoilt 'not what' 's/"states":{\("hot":{[^}]*},\)/"states":{\1\1/'
spoilt 'not what' 's/"states":{"hot":{[^}]*},/"states":{/'
spoilt 'not what' 's/\("classes":\[{"block":[0-9]*,"hot":\)/\11/'
spoilt 'not what' 's/\("classes":\[{[^}]*"committed":\)/\11/'
spoilt 'not what' 's/"classes":\[{[^}]*},/"classes":[/'
spoilt 'not what' 's/"classes":\[\({[^}]*}\),/"classes":[\1,\1,/'
spoilt 'not what' 's/"classes":\[[^]]*\]/"classes":[]/'
sed 's/"time":[0-9]*/"time":253402300799/' end.json >late.json
TZ=UTC "$top" late.json | head -n 1 | grep -q '^late.json: kept at its end, 9999-12-31 23:59:59$' ||
  complain "the last second there is"
truncate -s 1073741825 large.json && refuses 'larger than 1 GB' large.json

# A file is there as a whole or as it was, with its mode, behind symbolic links; what is no file is written as such.
echo before >there && chmod 640 there && ln there before && ln -s there link
for option in --json --prometheus --html; do
  "$top" $option=there end.json && [ "$(cat before)" = before ] && [ "$(stat -c %a there)" = 640 ] ||
    complain "$option writes in place"
done
"$top" --json=link end.json && [ -L link ] && cmp there end.json || complain "a symbolic link is written over"
"$top" --json=/dev/stdout end.json | cmp - end.json || complain "not to a pipe"
cp end.json there
(ulimit -f 0; trap '' XFSZ; "$top" --json=there end.json 2>err) && complain "it says that it has written"
cmp there end.json || complain "what was there is lost"
[ -z "$(ls ./*.tmp 2>/dev/null)" ] || complain "left over: $(ls ./*.tmp)"
exit $failed

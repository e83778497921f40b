#!/bin/sh
# usage: terminal.sh TOP RUN WAITS
# scalloc-top in a terminal: takes it, gives it back as it was, whether the key q, a signal or the end of the process ends it.
top=$1 run=$2 waits=$3 failed=0
command -v script >/dev/null || { echo "no script(1)"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'exec 9>&-; rm -rf "$work"' EXIT
mkfifo "$work/hold" && exec 9<>"$work/hold" || exit 1
export LC_ALL=C.UTF-8 TERM=xterm

start() {
  : >"$work/said"
  "$run" "$waits" <"$work/hold" >"$work/said" 9>&- & pid=$!
  for i in $(seq 200); do grep -q ready "$work/said" && return; sleep 0.05; done
}

# What runs in the terminal: its settings before and behind, the status.
cat >"$work/inside" <<END
stty rows 30 cols \$2
stty -g >"$work/before"
trap : INT
sh -c 'echo \$\$ >"$work/number"; exec "$top" --interval=0.2 \$0' \$1
echo "status \$?" >"$work/status"
stty -g >"$work/after"
END

# case NAME STATUS ACTION: what the action, with the terminal as standard output, types and does
begin=$(printf '\033[?1049h\033[?25l') end=$(printf '\033[?25h\033[?1049l')
in_terminal() {
  rm -f "$work/status" "$work/after"
  eval "$3" | script -qec "sh $work/inside $pid 90" "$work/typescript" >/dev/null
  grep -qxE "status $2" "$work/status" || { echo "$1: $(cat "$work/status")"; failed=1; }
  cmp -s "$work/before" "$work/after" || { echo "$1: the settings of the terminal are others"; failed=1; }
  grep -qF "$begin" "$work/typescript" && grep -qF "$end" "$work/typescript" || { echo "$1: took or left no screen"; failed=1; }
  grep -q 'every 0.2 s; q quits' "$work/typescript" || { echo "$1: shows nothing"; failed=1; }
  grep -q '█' "$work/typescript" || { echo "$1: no bars"; failed=1; }
}
start
in_terminal 'the key q' 0 'sleep 0.7; printf xq'
in_terminal 'the key Ctrl-C' 130 'sleep 0.7; printf "\003"; sleep 0.3'
in_terminal 'SIGTERM' 143 'sleep 0.7; kill -TERM $(cat $work/number); sleep 0.3' 2>/dev/null
in_terminal 'the end of the process' 0 'sleep 0.7; kill $pid; sleep 1'
grep -q "process $pid has ended" "$work/typescript" || { echo "does not say that the process has ended"; failed=1; }

# In a narrow terminal no line ends with a part of a character, wherever it is cut.
cd "$work" || exit 1
for name in ééééééééééééééé xéééééééééééééé; do
  cp "$waits" "$work/$name"
  waits=./$name
  start
  waits=$work/$name
  (sleep 0.4; printf q) | script -qec "sh $work/inside $pid $((${#pid} + 21))" "$work/typescript" >/dev/null
  kill $pid
  grep -aq '[.]/x*éééé' "$work/typescript" && ! grep -aq éééééééééééééé "$work/typescript" || { echo "$name: shown otherwise"; failed=1; }
  perl -MEncode -0777 -ne 'decode("UTF-8", $_, Encode::FB_CROAK)' "$work/typescript" || { echo "$name: a part of a character"; failed=1; }
done
exit $failed

#!/bin/sh
# The command line of examples/scheme: what it prints, where, and with which status it ends. usage: command.sh PROGRAM

scheme=$1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
failures=0

# check NAME STATUS OUT ERR WORDS...: OUT and ERR are patterns of the shell.
check() {
  name=$1 status=$2 out=$3 err=$4
  shift 4
  "$scheme" "$@" <"$tmp/in" >"$tmp/out" 2>"$tmp/err"
  got=$?
  # shellcheck disable=SC2254 # they are patterns
  case $got:$(cat "$tmp/out"):$(cat "$tmp/err") in
  $status:$out:$err) return ;;
  esac
  failures=$((failures + 1))
  printf 'FAILED: %s: status %s\n--- output\n%s\n--- errors\n%s\n' "$name" "$got" "$(cat "$tmp/out")" "$(cat "$tmp/err")"
}

: >"$tmp/in"
check help 0 'usage: scheme *' '' --help
check 'unknown option' 2 '' 'scheme: what is --nothing*' --nothing
check 'no size' 2 '' 'scheme: what is --heap-limit=*' --heap-limit=12Q -e 1
check 'zero' 2 '' 'scheme: what is --stress=0*' --stress=0 -e 1
check '-e alone' 2 '' 'scheme: what is -e without its text*' -e
check 'no file' 1 '' 'scheme: */none.scm: No such file or directory' "$tmp/none.scm"
check 'limit too small' 1 '' '*the heap limit leaves no room to begin' --heap-limit=64K -e 1
check 'exit' 7 'before' '' -e '(display "before")' -e '(exit 7)' -e '(display "after")'
check 'in turn' 0 '12' '' -e '(display 1)' -e '(display 2)'
check 'define' 0 '5 9 3' '' --threads=5 --define=x=9 -e "(display (option 'threads 0))" \
  -e "(print \" \" (option 'x 0) \" \" (option 'y 3))"
check 'error stops' 1 '1' '-e:1: a pair is wanted: 5' -e '(display 1) (car 5) (display 2)' -e '(display 3)'
check 'raise' 1 '' '-e:1: raised and not handled: "x"' -e '(raise "x")'
check 'irritants' 1 '' '-e:1: odd: 1 "two"' -e '(error "odd" 1 "two")'
check 'reader' 1 '' '-e:1: parenthesis without its match' -e '(1 (2)'
check 'end of thread' 0 'done' '' -e '(spawn (lambda () (let loop () (loop))))' -e '(display "done")'
check 'statistics' 0 '' '{"collections": [1-9]*"heap": {"spans":*}}' --stats -e '(gc)'

printf '(define x 1)\n\n(define (f y)\n  (+ x\n     (car y)))\n(display "first")\n(f 2)\n' >"$tmp/in"
cp "$tmp/in" "$tmp/file.scm"
check 'standard input' 1 'first' 'standard input:5: a pair is wanted: 2'
check 'minus' 1 'first' 'standard input:5: a pair is wanted: 2' -
check 'file' 1 'first' '*/file.scm:5: a pair is wanted: 2' "$tmp/file.scm"
head -c 5000 /dev/zero | tr '\0' '(' >"$tmp/in"
check 'depth of the reader' 1 '' 'standard input:1: nested too deeply' -
printf 'one\ntwo' >"$tmp/in"
check 'read-line' 0 '("one" "two" #f)' '' -e '(write (let* ((a (read-line)) (b (read-line))) (list a b (read-line))))'
head -c 3000 /dev/urandom >"$tmp/in"
check 'noise' 1 '*' 'standard input:[0-9]*: *' -

if command -v script >/dev/null 2>&1; then
  printf '(define x\n 41)\n(+ x 1)\n(car x)\n(quote (still "here"))\n' |
    script -qec "$scheme" /dev/null >"$tmp/out" 2>&1
  for wanted in '^.*42' 'prompt:1: a pair is wanted: 41' '(still "here")'; do
    grep -q "$wanted" "$tmp/out" && continue
    failures=$((failures + 1))
    echo "FAILED: prompt: no $wanted in"
    cat "$tmp/out"
  done
fi

[ "$failures" = 0 ]

#!/bin/sh
# usage: mangled.sh TOP RUN
# Pictures that were changed at random, by a scalloc-top with ASan and UBSan: shown or refused, and nothing else happens.
top=$1 run=$2 failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset LD_PRELOAD
"$run" --heap-map=kept.json perl -e '@a = map { "x" x (10 * $_) } 1 .. 500; $b = "y" x 5e6' || exit 1
export ASAN_OPTIONS=exitcode=99 UBSAN_OPTIONS=exitcode=99:halt_on_error=1
cat >mangle.pl <<'END'
use strict;
my ($top) = @ARGV;
open my $file, "<", "kept.json" or die;
my $kept = <$file>;
my (%count, $bad);
srand 1;
my @bits = ("", "{", "}", "[", "]", "\"", "\\", ",", ":", "-", "0",
  "99999999999", "99999999999999999", "18446744073709551615", "null", "true", "\0", "\xff", "[" x 100);
my ($figure, $rounds) = (11, 250); # the first of @bits that is a large figure, of three
for my $round (1 .. $rounds + 3) {
  my $text = $kept;
  $text =~ s/"time":\d+/"time":$bits[$figure + $round - $rounds - 1]/ if $round > $rounds; # no date
  my $changes = $round > $rounds ? 0 : 1 + int rand 2;
  for (1 .. $changes) {
    my ($at, $length) = (int rand length $text, int rand 4);
    $at = int rand 700 if $round % 2; # the head, too
    # A figure as a whole, every third time: what is well-formed and wrong.
    if ($round % 3 == 0) { substr($text, $at) =~ s/\d+/$bits[$figure + int rand 3]/; }
    else { substr($text, $at, $length) = $bits[rand @bits]; }
  }
  open my $out, ">", "mangled.json" or die;
  print $out $text;
  close $out;
  my $status = system("$top --html=page.html mangled.json 2>said");
  $count{$status >> 8}++;
  next if $status == 0 || $status == 256;
  print "round $round: status $status\n", `cat said`;
  $bad = 1;
}
print join(", ", map { "status $_: $count{$_}" } sort keys %count), "\n";
exit($bad || !$count{1});
END
perl mangle.pl "$top" || failed=1
exit $failed

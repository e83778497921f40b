# Prometheus' text format, as far as it is written here: HELP and TYPE of each family, once, then its samples, which have names of
# the family, well-formed labels, and whole numbers; no sample twice; a counter ends in _total, what ends in _total is a counter.
function wrong(why) { print FILENAME ": line " FNR ": " why ": " $0; bad = 1 }
/^# HELP / {
  if ($3 !~ /^[a-zA-Z_:][a-zA-Z0-9_:]*$/ || NF < 4) wrong("no name or no text")
  if ($3 in helped) wrong("a family twice")
  if (family != "" && !samples) wrong("a family without samples before this")
  helped[$3]; family = $3; kind = ""; samples = 0
  next
}
/^# TYPE / {
  if ($3 != family || kind != "" || samples || NF != 4 || $4 !~ /^(gauge|counter)$/) wrong("no type of this family")
  kind = $4
  if ((kind == "counter") != (family ~ /_total$/)) wrong("a counter ends in _total")
  next
}
/^#/ || /^$/ { wrong("neither HELP nor TYPE nor a sample"); next }
{
  name = $0
  sub(/[{ ].*/, "", name)
  if (name != family || kind == "") wrong("a sample outside of its family")
  if ($0 !~ /^[a-zA-Z_:][a-zA-Z0-9_:]*(\{[a-z_]+="[^"\\]*"(,[a-z_]+="[^"\\]*")*\})? [0-9]+$/) wrong("no sample")
  if ($1 in seen) wrong("a sample twice")
  seen[$1]; samples++; all++
}
END {
  if (family != "" && !samples) wrong("a family without samples at the end")
  if (!all) { print FILENAME ": no samples"; bad = 1 }
  exit bad
}

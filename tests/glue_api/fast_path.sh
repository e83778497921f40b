#!/bin/sh
# usage: fast_path.sh OBJDUMP OBJECT
# An allocation that hits its hole, in the code of this build's compiler: the instructions in front of the return are at most 10, none
# of them a call or a locked one, and one conditional branch leads out of them.
objdump=$1 object=$2 status=0
for function in hit_of_constants hit_of_variables; do
  code=$("$objdump" -d --no-show-raw-insn "$object" | awk -v name="<$function>:" '
    $2 == name { inside = 1; next }
    inside && NF == 0 { exit }
    inside && /^ *[0-9a-f]+:/ { sub(/^ *[0-9a-f]+:[ \t]*/, ""); if ($1 == "endbr64" || $1 == "nop") next; print; if ($1 ~ /^ret/) exit }')
  count=$(echo "$code" | grep -vc '^ret')
  branches=$(echo "$code" | grep -c '^j')
  echo "$function: $count instructions, $branches branches"
  if [ "$count" -gt 10 ] || [ "$count" -lt 5 ] || [ "$branches" != 1 ] || ! echo "$code" | grep -q '^ret' ||
    echo "$code" | grep -q '^call\|^lock\|xchg\|^jmp'; then
    echo "$code"
    status=1
  fi
done
exit $status

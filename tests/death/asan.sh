#!/bin/sh
# usage: asan.sh PROGRAM NAME
# PROGRAM NAME must end in a report of AddressSanitizer about the very address that it said it would touch.
said=$(mktemp) || exit 1
trap 'rm -f "$said"' EXIT
"$1" "$2" 2>"$said"
status=$?
address=$(sed -n 1p "$said")
grep -q "ERROR: AddressSanitizer: use-after-poison on address $address " "$said" && [ "$status" != 0 ] && exit 0
echo "status $status, no report about $address:"
head -n 20 "$said"
exit 1

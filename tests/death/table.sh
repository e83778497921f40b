#!/bin/sh
# usage: table.sh PROGRAM FILE
# FILE, docs/faults.md, is what PROGRAM makes of the tables that its tests run by. To make it anew: PROGRAM --table >FILE
"$1" --table | diff "$2" - || { echo "make it anew: $1 --table >$2"; exit 1; }

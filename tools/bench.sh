#!/bin/sh
# bench.sh [NAME]: every benchmark (build/release/bin/NAME_bench), or one. One line each on stdout.
set -eu
cd "$(dirname "$0")/.."
only=${1:-}
found=0
for program in build/release/bin/*_bench; do
  [ -x "$program" ] || continue
  name=$(basename "$program" _bench)
  [ -z "$only" ] || [ "$only" = "$name" ] || continue
  found=1
  "$program"
done
[ "$found" = 1 ] || { echo "bench: no benchmark named '$only'; there are:" $(ls build/release/bin | sed -n 's/_bench$//p') >&2; exit 2; }

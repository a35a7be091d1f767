#!/bin/sh
# build.sh PRESET [JOBS] [TARGET]: configures, then builds everything or one target. Compiling LibTorch's
# headers takes 1.3 GB, so jobs are also limited by memory.
set -eu
cd "$(dirname "$0")/.."
preset=$1
jobs=${2:-$(nproc)}
target=${3:-all}
by_memory=$(awk '/MemAvailable/ { n = int($2 / 1500000); print (n < 1 ? 1 : n) }' /proc/meminfo)
[ "$jobs" -le "$by_memory" ] || jobs=$by_memory
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cmake --preset "$preset" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
cmake --build "build/$preset" --parallel "$jobs" --target "$target"

#!/bin/sh
# run_fuzzers.sh [SECONDS] [NAME]: every fuzz target (or one) for SECONDS (60) over its kept corpus in
# fuzz/corpus/NAME, two at a time. New inputs go to build/fuzz/corpus, a crash to build/fuzz/crashes.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
only=${2:-}
tools/build.sh fuzz
targets=$(find build/fuzz/bin -name '*_fuzz' -type f -executable | sort)
[ -z "$only" ] || targets=$(echo "$targets" | grep "/${only%_fuzz}_fuzz\$") || { echo "fuzz: no target named $only" >&2; exit 2; }
[ -n "$targets" ] || { echo "fuzz: no targets were built" >&2; exit 1; }
mkdir -p build/fuzz/crashes build/fuzz/logs

cat > build/fuzz/one.sh <<'ONE'
#!/bin/sh
name=$(basename "$1" _fuzz)
found=build/fuzz/corpus/$name
kept=fuzz/corpus/$name
mkdir -p "$found"
[ -d "$kept" ] || kept=
if "$1" -max_total_time="$2" -rss_limit_mb=2048 -timeout=10 -max_len=65536 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/crashes/$name-" "$found" $kept >"build/fuzz/logs/$name.log" 2>&1; then
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/logs/$name.log")
  echo "fuzz $name: $runs inputs, no fault"
else
  tail -n 40 "build/fuzz/logs/$name.log"
  echo "fuzz $name: FAILED, input kept in build/fuzz/crashes/"
  exit 1
fi
ONE
chmod +x build/fuzz/one.sh
export LSAN_OPTIONS="suppressions=$PWD/tools/lsan.supp:print_suppressions=0"
echo "$targets" | xargs -P 2 -I '{}' build/fuzz/one.sh '{}' "$seconds"

#!/bin/sh
# reproduce.sh [DATA]: every table and figure of experiments/ on the data sets found in DATA, then one page
# of all of them: build/reproduce/report.html. Finished cells are kept: run it again to go on.
# What docs/results holds is compared: the run fails at its end when a row differs (recorded_results.py).
# MINUTES=N: no cell begins later than that after its experiment did; the next run has the rest.
# AGAIN=N: then N cells of each once more; the run fails when their numbers differ.
set -eu
cd "$(dirname "$0")/.."
data=${1:-../shared/data}
jobs=${JOBS:-$(nproc)}
out=build/reproduce
program=${KINDLING:-build/release/bin/kindling}
export OMP_WAIT_POLICY=passive  # cells run beside each other, a thread each
zesrec='zesrec-day0 zesrec-grid zesrec-table1 zesrec-table2 zesrec-table3 zesrec-incremental zesrec-selection zesrec-casestudy'
s2meta='s2meta-table3 s2meta-table3-bound s2meta-table4 s2meta-figure2 s2meta-figure3'
recguru='recguru-table2 recguru-table3 recguru-network recguru-figure2'
differ=0
for name in ${ONLY:-$zesrec $s2meta $recguru}; do
  begin=$(date +%s)
  "$program" experiment "$name" --data "$data" --out "$out" --jobs "$jobs" ${MINUTES:+--minutes "$MINUTES"}
  echo "== $name: $(($(date +%s) - begin)) s"
  python3 tools/recorded_results.py compare "$out" "$name" || differ=1
  [ -z "${AGAIN:-}" ] || "$program" experiment "$name" --data "$data" --out "$out" --jobs "$jobs" --again "$AGAIN"
done
"$program" report "$out"
exit $differ

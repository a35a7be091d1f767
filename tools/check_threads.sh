#!/bin/sh
# check_threads.sh [JOBS]: the tests of the floors that start threads, under ThreadSanitizer. Fails on a race.
# The rest of the torch-free floors: tools/build.sh tsan, then build/tsan/bin/data_test and text_test.
set -eu
cd "$(dirname "$0")/.."
jobs=${1:-$(nproc)}
# More threads than one, whatever the machine has; waiting ones that spin would take its cores.
export OMP_NUM_THREADS=4 OMP_WAIT_POLICY=passive
export TSAN_OPTIONS="suppressions=$PWD/tools/tsan.supp:print_suppressions=0"
for floor in base kernels; do
  tools/build.sh tsan "$jobs" "${floor}_test"
  "build/tsan/bin/${floor}_test" --gtest_brief=1
done

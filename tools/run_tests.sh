#!/bin/sh
# run_tests.sh BUILD_DIR: ctest, then one last line "N passed, N failed" over all test cases.
set -u
cd "$(dirname "$0")/.."
build=$1
results=$PWD/$build/test_results
rm -rf "$results"
mkdir -p "$results"
export GTEST_OUTPUT="xml:$results/" GTEST_BRIEF=1
export LSAN_OPTIONS="suppressions=$PWD/tools/lsan.supp:print_suppressions=0"
# Waiting threads that spin take the cores from those that work when a machine is shared: the tests of
# models then need four times as long.
export OMP_WAIT_POLICY=passive
export UBSAN_OPTIONS=print_stacktrace=1
ctest --test-dir "$build" --output-on-failure --no-tests=error --output-junit "$results/ctest.xml"
status=$?
python3 tools/count_tests.py "$results" || status=1
exit $status

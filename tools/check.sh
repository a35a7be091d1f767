#!/bin/sh
# check.sh [JOBS]: everything that must hold before a change is accepted; stops at the first fault.
# The last line is always "N passed, N failed"; a fault before the tests counts as the one failure.
set -eu
cd "$(dirname "$0")/.."
jobs=${1:-$(nproc)}
export OMP_WAIT_POLICY=passive  # see run_tests.sh

step() {
  name=$1
  shift
  echo "== $name"
  begin=$(date +%s)
  "$@" || {
    echo "check: $name failed; the tests did not run" >&2
    echo "0 passed, 1 failed"
    exit 1
  }
  echo "== $name: $(($(date +%s) - begin)) s"
}

no_unsafe_loading() {
  # TorchScript and pickle run code from the file that they load.
  ! grep -rnE 'torch::(jit::)?load|torch::pickle|import pickle|pickle\.load' kindling cli bench fuzz tools \
    --include='*.cpp' --include='*.h' --include='*.py' --exclude=check_floors.py
}

smoke_experiment() {
  rm -rf build/smoke-experiment
  build/dev/bin/kindling experiment --check --quiet --json --data /nowhere >build/experiments.json &&
    build/dev/bin/kindling experiment smoke --out build/smoke-experiment --jobs 2 --quiet &&
    build/dev/bin/kindling report build/smoke-experiment
}

look_at_pages() {
  code=0
  tools/check_pages.py --self-test build/smoke-experiment/report.html || code=$?
  [ "$code" = 0 ] || [ "$code" = 77 ]  # 77: no Chromium here
}

step "asset and demo tools" python3 tools/fetch_assets.py --self-test
step "recorded results" python3 tools/recorded_results.py --self-test
step "no pickle, no TorchScript" no_unsafe_loading
step "format, floors, spelling" tools/lint.sh --quick
step "build (dev, -Werror)" tools/build.sh dev "$jobs"
step "lint" tools/lint.sh
step "build (asan)" tools/build.sh asan "$jobs"
step "tests under sanitizers (torch-free floors)" tools/run_tests.sh build/asan
step "threads under ThreadSanitizer" tools/check_threads.sh "$jobs"
step "fuzzers, ${FUZZ_SECONDS:-60} s each" tools/run_fuzzers.sh "${FUZZ_SECONDS:-60}"
step "demo on a synthetic world" env KINDLING=build/dev/bin/kindling python3 tools/demo.py --smoke
step "smoke experiment" smoke_experiment
step "its page in a browser" look_at_pages
step "generated pages are fresh" env KINDLING=build/dev/bin/kindling tools/make_docs.py --check
# Last, so that its "N passed, N failed" is the last line.
step_tests() { echo "== tests"; tools/run_tests.sh build/dev; }
step_tests

#!/bin/sh
# lint.sh            format check, floors, spelling, headers, clang-tidy
# lint.sh --quick    the first three: seconds, and needs no build
# lint.sh --fix      rewrites the sources with clang-format
# lint.sh --staged   format check and floors of what is staged: for a pre-commit hook
set -eu
cd "$(dirname "$0")/.."
sources() { git ls-files --cached --others --exclude-standard -- '*.cpp' '*.h' '*.cu'; }

case "${1:-}" in
  --fix)
    sources | xargs -r clang-format-14 -i
    exit 0
    ;;
  --staged)
    git diff --cached --name-only --diff-filter=ACMR -- '*.cpp' '*.h' '*.cu' | xargs -r clang-format-14 --dry-run --Werror
    exec python3 tools/check_floors.py
    ;;
esac

sources | xargs -r clang-format-14 --dry-run --Werror
python3 tools/check_floors.py --self-test
python3 tools/check_floors.py
codespell --config tools/codespell.cfg $(git ls-files -- '*.md' '*.h' '*.cpp' '*.py' '*.sh' Makefile 'cmake/*')
if [ "${1:-}" = --quick ]; then exit 0; fi
python3 tools/cached_check.py headers
python3 tools/cached_check.py tidy

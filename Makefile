# Thin verbs. `make demo` and `make test` are all a newcomer needs: each does the set-up it needs.
JOBS ?= $(shell nproc)
ONLY ?=
FUZZ_SECONDS ?= 60

.PHONY: help demo test setup build dev lint format check bench docs clean reproduce

help:
	@echo "make demo    the main job on real data, from a fresh machine: demo/report.html"
	@echo "make test    set up, build with strict warnings, run every test"
	@echo "make setup   install exactly what apt-packages.txt lists"
	@echo "make build   the program users run: build/release/bin/kindling"
	@echo "make check   everything the CI runs: format, floors, lint, tests, sanitizers, fuzzers, demo"
	@echo "make lint    format check, floors, clang-tidy, spelling     make format  rewrite with clang-format"
	@echo "make bench [ONLY=NAME]   speed beside the peers             make docs    regenerate docs/models.md"
	@echo "make reproduce [DATA=DIR] [ONLY=NAME] [MINUTES=N] [AGAIN=N]   the papers' tables: build/reproduce/report.html"
	@echo "make clean   remove build/ and demo/ (fetched files stay in .cache/)"

demo: build
	@python3 tools/demo.py

test: dev
	@tools/run_tests.sh build/dev

setup:
	@tools/setup.sh

build: setup
	@tools/build.sh release $(JOBS) kindling

dev: setup
	@tools/build.sh dev $(JOBS)

lint: dev
	@tools/lint.sh

format:
	@tools/lint.sh --fix

check: setup
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tools/check.sh $(JOBS)

bench: setup
	@tools/build.sh release $(JOBS)
	@tools/bench.sh $(ONLY)

reproduce: build
	@python3 tools/fetch_assets.py
	@JOBS=$(JOBS) ONLY="$(ONLY)" AGAIN=$(AGAIN) MINUTES=$(MINUTES) tools/reproduce.sh $(DATA)

docs: build
	@tools/make_docs.py

clean:
	rm -rf build demo

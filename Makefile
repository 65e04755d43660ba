# Everything from a bare clone: needs Python 3.11 or newer, pip and make.
PYTHON ?= python3
PIP_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: search test test-slow attack mutation bench-gpu check format clean

search: $(INSTALLED)  ## search on the embedded digits; the run directory is printed
	$(BIN)/nas-search --target-flops 400M

test: $(INSTALLED)  ## the fast tests, on two cores
	$(BIN)/pytest -q -n 2 --dist loadfile

test-slow: $(INSTALLED)  ## real searches, real kills, large samples
	$(BIN)/pytest -q -m "slow and not gpu" --durations=20

attack: $(INSTALLED)  ## 300 kills, 20,000 changed inputs a format; the slow tests have a tenth of it
	NAS_ATTACK=1 $(BIN)/pytest -q -m slow tests/attack --durations=20

mutation: $(INSTALLED)  ## would the tests notice small faults? an hour or two; goes on with mutants.jsonl if it is there
	$(BIN)/python benchmarks/mutation.py --sample 120

bench-gpu: $(INSTALLED)  ## all that is to be known on a GPU, under 8 minutes: bench-gpu/gpu.json and gpu.md
	$(BIN)/python -m benchmarks.gpu --out bench-gpu

check: $(INSTALLED)  ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Installed again only when what is installed changes. The constraints keep pip from swapping the CPU build of torch
# for gigabytes of CUDA packages where an index offers the CPU build (README, Install).
$(INSTALLED): pyproject.toml constraints.txt
	@echo "Setting up .venv: some 2 GB of packages, two minutes where they are cached"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --progress-bar on --quiet --disable-pip-version-check $(PIP_ARGS) --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info

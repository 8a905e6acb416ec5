# Two commands: `make demo` and `make test`. Each installs what it needs into .venv.
PYTHON ?= python3
BIN = .venv/bin

# Small nets run fastest on one thread a process.
export OMP_NUM_THREADS = 1

.PHONY: demo test lint benchmarks clean

demo: .venv/demo
	$(BIN)/python examples/compare.py

test: .venv/test
	$(BIN)/python -m pytest -n auto --dist worksteal -q

lint: .venv/lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmarks: .venv/test
	for file in benchmarks/[a-z]*.py; do \
		[ $$file = benchmarks/summary.py ] || $(BIN)/python $$file || exit 1; \
	done
	$(BIN)/python benchmarks/summary.py

# One stamp a set of optional packages, renewed when pyproject.toml changes.
.venv/%: pyproject.toml
	[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable ".[$*]"
	touch $@

clean:
	rm -rf .venv

# Everything here works from a fresh clone on a machine with Python 3.11.
PYTHON ?= python3.11
BIN := .venv/bin
# Touched when the virtual environment holds what pyproject.toml and constraints.txt say.
READY := .venv/.ready

.PHONY: demo test slow lint clean

demo: $(READY)  ## Recognise the bundled clips and draw what the network sees.
	$(BIN)/marey predict src/marey/clips --maps demo
	@echo "Pictures of what OFF sees are in demo/"

test: lint  ## Check style, types and layers, and run the quick tests.
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -m "not slow" --numprocesses auto --dist loadfile

slow: $(READY)  ## Run the tests that take long, too.
	$(BIN)/pytest -q

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv demo

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

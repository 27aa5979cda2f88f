# Drawbar from a clone. `make run` and `make test` need Python >= 3.11 with venv and headers, and gcc; nothing else.
#
#   make run        serve examples/hello.py on http://127.0.0.1:8000/
#   make test       run every test                     make test ARGS='tests/wire -k chunked'
#   make lint       ruff, mypy --strict, cython-lint
#   make coverage   the tests once more on a build that traces, with a table of Python and Cython lines
#   make fuzz       fuzz the codec                     make fuzz SECONDS=600
#   make docs       build the documentation into site/
#   make bench      measure against other servers      see benchmarks/
#   make clean      remove all that these made
#
# PYTHON names the interpreter, VENV the environment: make test PYTHON=python3.13 VENV=.venv-3.13

PYTHON ?= python3
VENV ?= .venv
BIND ?= 127.0.0.1:8000
SECONDS ?= 60
ARGS ?=

PIP = bin/python -m pip --disable-pip-version-check --quiet
# setuptools calls [tool.distutils] experimental each time it reads it.
SETUP = -W 'ignore::UserWarning' setup.py --quiet
# Recursive by find, so that a new module needs no line here.
NATIVE := $(shell find src -name '*.pyx' -o -name '*.pxd')
# Stops with one line, and status 2, when this machine lacks something the build needs.
require = $(if $(shell tools/missing $(1)),$(error $(shell tools/missing $(1))))

.DEFAULT_GOAL := run
.DELETE_ON_ERROR:
.PHONY: run test lint coverage fuzz docs clean

run: $(VENV)/.native
	$(VENV)/bin/drawbar run --bind $(BIND) --chdir examples hello:app

test: $(VENV)/.native $(VENV)/.test
	$(VENV)/bin/python -m pytest $(ARGS)

# Each tool has its say, whatever the one before it found. cython-lint looks for pycodestyle on PATH.
lint: $(VENV)/.native $(VENV)/.test $(VENV)/.lint
	@status=0; for tool in 'ruff check .' 'ruff format --check .' mypy 'cython-lint src'; do \
	    echo "$$tool"; PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $$tool || status=1; \
	done; exit $$status

# -- the environment: one stamp for each thing installed, so that a second run installs nothing ------------------------

$(VENV)/.created:
	$(call require,$(PYTHON))
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: pyproject.toml setup.py $(VENV)/.created
	$(call require,$(PYTHON))
	@$(PYTHON) tools/requirements.py build >$(VENV)/build.txt
	$(VENV)/$(PIP) install -r $(VENV)/build.txt
	@echo 'Compiling the native core: a minute or two, once.'
	$(VENV)/$(PIP) install --no-build-isolation --editable .
	@touch $@

# Installing has built the native modules; from then on only what changed is built again.
$(VENV)/.native: $(NATIVE) | $(VENV)/.installed
	@if [ -n "$$(find src -name '*.p[yx][xd]' -newer $(VENV)/.installed)" ]; then \
	    echo $(VENV)/bin/python setup.py build_ext --inplace; \
	    $(VENV)/bin/python $(SETUP) build_ext --inplace; \
	fi
	@touch $@

$(VENV)/.test $(VENV)/.lint: $(VENV)/.%: pyproject.toml | $(VENV)/.installed
	@$(PYTHON) tools/requirements.py $* >$(VENV)/$*.txt
	$(VENV)/$(PIP) install -r $(VENV)/$*.txt
	@touch $@

# -- coverage: a copy of the tree, built with line tracing, so that the fast build stays as it is ----------------------

TRACE := build/trace
TRACE_VENV ?= .venv-trace
TRACED := $(CURDIR)/$(TRACE)/src/drawbar

coverage: $(TRACE_VENV)/.ready
	@rm -rf $(TRACE) && mkdir -p $(TRACE)
	@tar --exclude='*.so' --exclude=__pycache__ -cf - \
	    pyproject.toml setup.py README.md LICENSE Makefile src tests examples benchmarks docs tools | tar -xf - -C $(TRACE)
	@# First the C alone: the source names in it are made absolute, or a server that changed folder could not be followed.
	cd $(TRACE) && DRAWBAR_TRACE=1 $(CURDIR)/$(TRACE_VENV)/bin/python $(SETUP) --version >/dev/null
	@find $(TRACE)/build -name '*.c' -exec sed -i 's|"src/drawbar/|"$(TRACED)/|' {} +
	cd $(TRACE) && DRAWBAR_TRACE=1 $(CURDIR)/$(TRACE_VENV)/bin/python $(SETUP) build_ext --inplace
	@# The coverage plugin looks for the C beside its source.
	@cd $(TRACE)/build/cython && find src -name '*.c' -exec cp {} ../../{} \;
	@# By a path file and not by PYTHONPATH: some tests start a server in an environment of their own.
	@# Tracing runs Python at each native line, where another thread may take the GIL, which is the lock of the reactor
	@# (docs/decisions/0002). With a long switch interval it changes hands only where the code itself lets go of it.
	@printf '%s\n' $(CURDIR)/$(TRACE)/src 'import sys; sys.setswitchinterval(1)' >$(TRACE)/drawbar.pth
	@mv $(TRACE)/drawbar.pth $$($(TRACE_VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
	@# The table is shown also when tests fail; the status is then theirs. Programs in other languages (tests/workers)
	@# would only be slower here.
	cd $(TRACE) && python=$(CURDIR)/$(TRACE_VENV)/bin/python; \
	    $$python -m coverage run -m pytest -q --ignore=tests/workers $(ARGS); status=$$?; \
	    $$python -m coverage combine --quiet && $$python -m coverage report && exit $$status

$(TRACE_VENV)/.ready: pyproject.toml
	$(call require,$(PYTHON))
	$(PYTHON) -m venv $(TRACE_VENV)
	@$(PYTHON) tools/requirements.py build package test >$(TRACE_VENV)/trace.txt
	$(TRACE_VENV)/$(PIP) install -r $(TRACE_VENV)/trace.txt
	@touch $@

# -- fuzzing: atheris needs Python 3.12 or newer ----------------------------------------------------------------------

FUZZ_VENV ?= .venv-fuzz
FUZZ_PYTHON ?= $(firstword $(shell for python in $(PYTHON) python3.14 python3.13 python3.12; do \
    $$python -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && echo $$python; done))

fuzz: $(FUZZ_VENV)/.ready
	$(FUZZ_VENV)/bin/python tests/fuzz/run.py --seconds $(SECONDS)

$(FUZZ_VENV)/.ready: pyproject.toml setup.py $(NATIVE)
	$(if $(FUZZ_PYTHON),,$(error make fuzz needs Python 3.12 or newer, for atheris: name one with FUZZ_PYTHON=/path/to/python3.13))
	$(call require,$(FUZZ_PYTHON))
	$(FUZZ_PYTHON) -m venv $(FUZZ_VENV)
	@$(FUZZ_PYTHON) tools/requirements.py build package fuzz >$(FUZZ_VENV)/fuzz.txt
	$(FUZZ_VENV)/$(PIP) install -r $(FUZZ_VENV)/fuzz.txt
	$(FUZZ_VENV)/$(PIP) install --no-build-isolation --no-deps --force-reinstall .
	@touch $@

# -- documentation ----------------------------------------------------------------------------------------------------

DOCS_VENV ?= .venv-docs

docs: $(DOCS_VENV)/.ready
	$(DOCS_VENV)/bin/zensical build --clean

$(DOCS_VENV)/.ready: pyproject.toml
	$(call require,$(PYTHON))
	$(PYTHON) -m venv $(DOCS_VENV)
	@$(PYTHON) tools/requirements.py docs >$(DOCS_VENV)/docs.txt
	$(DOCS_VENV)/$(PIP) install -r $(DOCS_VENV)/docs.txt
	@touch $@

clean:
	rm -rf $(VENV) $(TRACE_VENV) $(FUZZ_VENV) $(DOCS_VENV) build dist site src/*.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests examples tools -name __pycache__ -prune -exec rm -rf {} +
	find src -name '*.so' -delete

-include benchmarks/bench.mk

# Measures Drawbar beside other servers; included by the root Makefile. Method and reading: docs/benchmarks.md.
#
#   make bench [PYTHON=python3.13] [CASES="wsgi-hello idle"]
#
# Writes benchmarks/RESULTS.md and RESULTS.json; a case not run again keeps its former figures.

PYTHON ?= python3
CASES ?=

.PHONY: bench bench-tools bench-clean

# Only when asked for: no other target should have to start a Python to learn its version.
ifneq ($(filter bench,$(MAKECMDGOALS)),)

$(call require,$(PYTHON))
BENCH_SERIES := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
BENCH_VENV := .venv-bench-$(BENCH_SERIES)
BENCH_SOURCES := pyproject.toml setup.py $(shell find src -name '*.py' -o -name '*.pyx' -o -name '*.pxd')

bench: $(BENCH_VENV)/drawbar.stamp $(BENCH_VENV)/uncounted.stamp
	$(BENCH_VENV)/bin/python benchmarks/run.py --write --cases "$(CASES)"

$(BENCH_VENV)/peers.stamp: benchmarks/requirements.txt | bench-tools
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/pip install --quiet --upgrade --use-pep517 --requirement benchmarks/requirements.txt
	touch $@

# Built from a copy: what a tracing build has left in build/ would be taken for up to date.
$(BENCH_VENV)/drawbar.stamp: $(BENCH_SOURCES) $(BENCH_VENV)/peers.stamp | bench-tools
	rm -rf $(BENCH_VENV)/source
	mkdir $(BENCH_VENV)/source
	tar -c --exclude='*.so' --exclude='__pycache__' --exclude='*.egg-info' \
	    pyproject.toml setup.py src $(wildcard README.md LICENSE) | tar -x -C $(BENCH_VENV)/source
	$(BENCH_VENV)/bin/pip uninstall --quiet --yes drawbar
	env -u DRAWBAR_TRACE $(BENCH_VENV)/bin/pip install --quiet $(BENCH_VENV)/source
	touch $@

# The same without what is written to the scoreboard, beside the environment's own: the case `counters` compares them.
$(BENCH_VENV)/uncounted.stamp: $(BENCH_VENV)/drawbar.stamp
	rm -rf $(BENCH_VENV)/uncounted $(BENCH_VENV)/source/build
	CFLAGS=-DDRAWBAR_NO_COUNTERS env -u DRAWBAR_TRACE $(BENCH_VENV)/bin/pip install --quiet --no-deps --no-cache-dir \
	    --target $(BENCH_VENV)/uncounted $(BENCH_VENV)/source
	touch $@

endif

# The servers and tools pip cannot install, in one line; what the build needs has been asked for above.
bench-tools:
	@PATH="$$PATH:/usr/sbin"; missing=; \
	command -v nginx >/dev/null || missing="$$missing nginx-light"; \
	command -v wrk >/dev/null || missing="$$missing wrk"; \
	command -v ip >/dev/null || missing="$$missing iproute2"; \
	command -v lighttpd >/dev/null || missing="$$missing lighttpd"; \
	test -e /usr/include/ev.h || missing="$$missing libev-dev"; \
	test -z "$$missing" || { echo "Benchmarks cannot run yet: run  apt-get install$$missing" >&2; exit 2; }

clean: bench-clean

bench-clean:
	rm -rf .venv-bench-*

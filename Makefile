# `make` lists what there is to make. Nothing here prints to standard output but what was asked for.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory --no-builtin-rules
.DELETE_ON_ERROR:
.PHONY: help audit test lab lint bench zipapp apt clean

PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,\
	$(shell $(name) -c 'import sys; sys.version_info < (3, 11) or print("$(name)")' 2>/dev/null)))
PIP := -m pip --disable-pip-version-check --quiet --quiet
SOURCES := $(shell find vmtune checks profiles \( -name __pycache__ -o -name '.?*' \) -prune -o -print)
# What the tests use of the system, where it can be installed.
APT := python3-venv strace

help:
	@echo 'make audit    audit this machine (ARGS="--workload db -v" for more); findings are no failure of make'
	@echo 'make test     lint, then all tests'
	@echo 'make lab      real kernels on emulated machines (QEMU; docs/lab.md)'
	@echo 'make lint     ruff and mypy'
	@echo 'make bench    what vmtune costs, against its limits'
	@echo 'make zipapp   dist/vmtune.pyz: one file that runs wherever Python 3.11 or later is'
	@echo 'make clean    take away everything that was made here'

# The report's exit code is the gate of a CI: run .venv/bin/vmtune there. For make, a machine with findings is an audit done.
audit: .venv/vmtune
	@code=0; .venv/bin/vmtune audit $(ARGS) || code=$$?; \
	echo "vmtune audit: exit code $$code" >&2; \
	case $$code in 0|1|3) ;; *) exit $$code ;; esac

test: apt .venv-test/vmtune
	@code=0; $(MAKE) lint || { code=$$?; echo 'lint failed, see above; the tests run all the same' >&2; }; \
	.venv-test/bin/python -m pytest $(ARGS) || code=$$?; exit $$code

lab: .venv-test/vmtune
	@if [ -n '$(MACHINE)' ]; then exec .venv-test/bin/python -m tests.lab.machine '$(MACHINE)'; fi; \
	VMTUNE_LAB=1 .venv-test/bin/python -m pytest tests/lab $(ARGS)

lint: .venv-test/vmtune
	@code=0; .venv-test/bin/ruff check --quiet --output-format concise . || code=1; \
	.venv-test/bin/ruff format --check --output-format concise . || code=1; \
	.venv-test/bin/mypy || code=1; exit $$code

bench: .venv/vmtune
	@.venv/bin/python -m bench $(SCALE)

zipapp: dist/vmtune.pyz

# vmtune as its users have it. Not an editable install: that one makes every start of this Python twice as slow.
.venv/vmtune: pyproject.toml $(SOURCES)
	@$(call python,.venv)
	@rm -rf build/lib
	@.venv/bin/python $(PIP) install 'setuptools>=77' >&2
	@.venv/bin/python $(PIP) install --no-build-isolation . >&2
	@touch $@

# vmtune as its developers have it: changed sources need no further installation.
.venv-test/vmtune: pyproject.toml
	@$(call python,.venv-test)
	@.venv-test/bin/python $(PIP) install 'setuptools>=77' >&2
	@.venv-test/bin/python $(PIP) install --no-build-isolation --editable '.[test]' >&2
	@touch $@

# Make a virtual environment, unless its Python is there and runs.
define python
	if ! $(1)/bin/python -c '' 2>/dev/null; then \
		if [ -z '$(PYTHON)' ]; then echo 'vmtune needs Python 3.11 or later, and none is on the PATH' >&2; exit 1; fi; \
		echo 'installing into $(1) …' >&2; \
		$(PYTHON) -m venv --clear $(1) >&2 || { echo 'the venv module is missing: apt install python3-venv' >&2; exit 1; }; \
	fi
endef

# Pure Python in one archive: what is compiled is for the Python that made it, others read the source beside it.
dist/vmtune.pyz: .venv/vmtune
	@rm -rf build/zipapp && mkdir -p build/zipapp dist
	@cd "$$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" && \
		cp -R vmtune click tabulate defusedxml vmtune-*.dist-info click-*.dist-info tabulate-*.dist-info \
		defusedxml-*.dist-info '$(CURDIR)/build/zipapp'
	@find build/zipapp \( -name __pycache__ -o -name direct_url.json -o -name RECORD \) -prune -exec rm -rf {} +
	@.venv/bin/python -m compileall -q -b --invalidation-mode unchecked-hash build/zipapp
	@printf '%s\n' 'import sys' 'if sys.version_info < (3, 11):' '    sys.exit("vmtune needs Python 3.11 or later")' \
		'from vmtune.cli import main' 'main()' >build/zipapp/__main__.py
	@.venv/bin/python -m zipapp build/zipapp --python '/usr/bin/env python3' --compress --output $@
	@chmod 755 $@

apt:
	@missing=$$(for name in $(APT); do dpkg-query --show --showformat='$${Status}' $$name 2>/dev/null | grep -q 'ok installed' || echo $$name; done); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		export DEBIAN_FRONTEND=noninteractive; \
		{ apt-get -qq update && apt-get -qq install --yes --no-install-recommends $$missing; } >&2 && exit 0; \
	fi; \
	echo "not installed:" $$missing "(tests that need them are skipped)" >&2

clean:
	@rm -rf .venv .venv-test build dist vmtune.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -prune -exec rm -rf {} +

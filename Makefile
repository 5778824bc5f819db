# What to type. `make` alone lists it; needs python3 (3.11 or newer) with venv, and nothing else.
#
# Two virtual environments, each made on first use and remade when it is broken or was left half made:
#   .venv-demo  what `pip install emotrace` gives: small, no torch
#   .venv       everything: training, tests, linters (torch makes it about 7 GB)
# Paths are relative and quoted, so that a checkout may lie in a folder with spaces in its name.

PYTHON ?= python3
VIDEO ?=
DETECTORS ?= auto
REPEATS ?= 3
PYTEST_FLAGS ?=

sample := demo/astronaut.mp4
demo_python := .venv-demo/bin/python
dev_python := .venv/bin/python
code := src tests benchmarks examples

.DEFAULT_GOAL := help
.PHONY: help demo test check format benchmark clean environment-demo environment-dev
.SUFFIXES:

help: ## list what there is to do
	@echo "usage: make GOAL"
	@echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F '|' '{ printf "%-18s %s\n", $$1, $$2 }'
	@echo
	@echo "  make demo VIDEO=holiday.mp4            your own video"
	@echo "  make test PYTEST_FLAGS=\"-m 'not slow'\"  fewer tests"

demo: environment-demo ## analyse a sample clip, or VIDEO=path, and say where the report is
	@set -e; video='$(subst ','\'',$(VIDEO))'; \
	if [ -z "$$video" ]; then video='$(sample)'; $(demo_python) examples/make_demo_clip.py "$$video"; fi; \
	.venv-demo/bin/emotrace analyze "$$video" -o demo --overwrite --video --report --subtitles --csv; \
	echo; name=$$(basename "$$video"); report="$$(pwd)/demo/$${name%.*}/report.html"; \
	if [ -f "$$video" ] && [ -f "$$report" ]; then echo "Open this in a browser: $$report"; \
	else echo "The reports are in $$(pwd)/demo: a folder with report.html for each input"; fi

test: environment-dev ## run every test
	@$(dev_python) -m pytest $(PYTEST_FLAGS)

check: environment-dev ## read the code without running it: format, lint, types, import contracts
	@failed=; \
	$(dev_python) -m ruff format --check $(code) || failed="$$failed format"; \
	$(dev_python) -m ruff check $(code) || failed="$$failed lint"; \
	$(dev_python) -m mypy || failed="$$failed types"; \
	.venv/bin/lint-imports || failed="$$failed imports"; \
	if [ -n "$$failed" ]; then echo "make check found something in:$$failed" >&2; exit 1; fi

format: environment-dev ## put the code into the house's format
	@$(dev_python) -m ruff check --fix --quiet $(code) || true
	@$(dev_python) -m ruff format $(code)

benchmark: environment-demo ## measure speed and memory on the sample clip, or VIDEO=path
	@set -e; video='$(subst ','\'',$(VIDEO))'; \
	if [ -z "$$video" ]; then video='$(sample)'; $(demo_python) examples/make_demo_clip.py "$$video"; fi; \
	$(demo_python) benchmarks/analyze_speed.py "$$video" --detectors $(DETECTORS) --repeats $(REPEATS)

clean: ## delete the environments, the demo's results and all caches
	rm -rf .venv .venv-demo demo build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

# make_environment FOLDER WHAT SIZE
# `.ready` is written last. Without it the folder is a half-made one and starts afresh; when
# pyproject.toml or constraints.txt is newer, the same environment is brought up to date. The import
# finds out whether Python itself or the checkout has moved since.
define make_environment
@set -e; folder='$(1)'; \
if [ -f "$$folder/.ready" ] && [ ! pyproject.toml -nt "$$folder/.ready" ] \
   && [ ! constraints.txt -nt "$$folder/.ready" ] && $(call is_ours,$$folder); then exit 0; fi; \
if ! '$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
  echo "expected Python 3.11 or newer as '$(PYTHON)'; got: $$('$(PYTHON)' --version 2>&1 || true)" >&2; \
  echo "name another one: make PYTHON=/path/to/python3.12" >&2; exit 1; fi; \
echo "Installing into $$folder ($(3)); this is done once ..." >&2; \
if [ ! -f "$$folder/.ready" ] || ! $(call is_ours,$$folder); then \
  rm -rf "$$folder"; \
  '$(PYTHON)' -m venv "$$folder" || { rm -rf "$$folder"; \
    echo "expected $(PYTHON) to come with venv; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
fi; \
rm -f "$$folder/.ready"; \
"$$folder/bin/python" -m pip --disable-pip-version-check install -qq -c constraints.txt -e '$(2)'; \
touch "$$folder/.ready"
endef

is_ours = "$(1)/bin/python" -c 'import sys, pathlib, emotrace; sys.exit(pathlib.Path(emotrace.__file__).resolve().parent != pathlib.Path("src/emotrace").resolve())' >/dev/null 2>&1

environment-demo:
	$(call make_environment,.venv-demo,.,a minute or two; about 800 MB)

environment-dev:
	$(call make_environment,.venv,.[dev],several minutes; about 7 GB; torch is in it)

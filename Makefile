# The commands of the project; each can be repeated, and only does what is not done yet.

PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
RUN := $(VENV)/bin/python -m

.DEFAULT_GOAL := help
.PHONY: help run quick test lint demo bench report site badges clean

help: ## list these commands
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

run: $(INSTALLED) ## execute all notebooks at full length; pages, results/ and figures/ are renewed
	$(RUN) mnist_lib run --renew

quick: $(INSTALLED) ## execute all notebooks shortened, in a few minutes, into short/
	$(RUN) mnist_lib run --short --force

test: $(INSTALLED) ## unit tests, and all notebooks compared with their saved outputs
	$(RUN) mnist_lib data
	$(RUN) pytest -n 2 --dist loadfile

lint: $(INSTALLED) ## what needs no run: code style, data files, notebooks executed and small
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(RUN) pre_commit run --all-files

bench: $(INSTALLED) ## how fast a training is, what threads and tricks bring (20 idle minutes, please)
	$(VENV)/bin/python benchmarks/speed.py

demo: $(INSTALLED) ## draw a digit in the browser and see it guessed
	@if uv --version >/dev/null 2>&1; then uv pip install -q --python $(VENV)/bin/python -e '.[demo]'; \
	else $(VENV)/bin/python -m pip install -q -e '.[demo]'; fi
	$(RUN) mnist_lib demo

report: $(INSTALLED) ## rebuild ledger, figures and the README's tables from results/
	$(RUN) mnist_lib report

site: $(INSTALLED) ## build the site from the committed pages, into site/
	$(VENV)/bin/python .ci/site/build.py

badges: $(INSTALLED) ## write the repository's address and Colab badges into notebooks and README
	$(RUN) mnist_lib badges

clean: ## remove the environment, shortened runs, the site and caches; never a result
	rm -rf $(VENV) short site .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# uv is much faster where it is there; a broken one counts as missing
$(INSTALLED): requirements.txt pyproject.toml
	@echo "installing the packages of requirements.txt into $(VENV)"
	@if uv --version >/dev/null 2>&1; then \
	  { test -x $(VENV)/bin/python || uv venv --python $(PYTHON) $(VENV); } && \
	  uv pip install --compile-bytecode --python $(VENV)/bin/python -e '.[dev]'; \
	else \
	  { test -x $(VENV)/bin/pip || $(PYTHON) -m venv $(VENV); } && \
	  $(VENV)/bin/python -m pip install -e '.[dev]'; \
	fi
	@touch $@

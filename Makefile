# The commands of the project; each can be repeated.

PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
RUN := $(VENV)/bin/python -m

.DEFAULT_GOAL := help
.PHONY: help run quick test lint demo bench report site badges clean

help: ## list these commands
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

run: $(INSTALLED) ## execute all notebooks at full length; your records go to my-results/
	$(RUN) mnist_lib run --force

quick: $(INSTALLED) ## execute all notebooks shortened, in a few minutes, into short/
	$(RUN) mnist_lib run --short --force

test: $(INSTALLED) ## unit tests, and all notebooks compared with their saved outputs
	$(RUN) pytest -n 2

lint: $(INSTALLED) ## what needs no run: code style, data files, the form of the notebooks
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(RUN) pre_commit run --all-files

demo: $(INSTALLED) ## draw a digit in the browser and see it guessed
	$(RUN) mnist_lib demo

bench: $(INSTALLED) ## how fast a training is, beside the loop of the tutorials (20 idle minutes)
	$(VENV)/bin/python benchmarks/speed.py

report: $(INSTALLED) ## rebuild ledger, figures and the README's tables from results/
	$(RUN) mnist_lib report

site: $(INSTALLED) ## build the site from the committed pages, into site/
	rm -rf build/site
	$(RUN) sphinx --fail-on-warning --keep-going --quiet -c .ci/site -d build/doctrees . build/site
	cp build/site/README.html build/site/index.html
	cp -r figures build/site
	rm -rf site && mv build/site site
	@echo "open site/index.html"

COLAB := https://colab.research.google.com
# single quotes in a badge, because notebooks are JSON; it stands behind the link in README's table
badges: ## write the repository's address and Colab badges into notebooks and README
	@slug=$$(git remote get-url origin 2>/dev/null | sed -E 's,/$$,,; s,\.git$$,,' \
	  | sed -nE 's,^(.*[/@])?(www\.)?github\.com(:[0-9]+/|[:/])([^/]+/[^/]+)$$,\4,p'); \
	branch=$$(git branch --show-current); \
	badge() { test -z "$$slug" || printf %s "<a href='$(COLAB)/github/$$slug/blob/$$branch/notebooks/$$1'><img alt='Open in Colab' src='$(COLAB)/assets/colab-badge.svg'></a>"; }; \
	for page in notebooks/[0-9]*.ipynb; do \
	  sed -i.bak -E -e "s|(<!-- badge -->).*(<!-- /badge -->)|\1$$(badge $${page#*/})\2|" \
	    -e 's|(REPOSITORY = \\").*(\\")|\1'"$${slug:+https://github.com/$$slug}"'\2|' $$page; \
	done; \
	sed -i.bak -E "s|(\(notebooks/([a-z0-9_]+\.ipynb)\).*<!-- badge -->).*(<!-- /badge -->)|\1$$(badge '\2')\3|" README.md; \
	rm -f README.md.bak notebooks/*.bak; \
	echo "the repository is $${slug:-not on GitHub: no badges}"

clean: ## remove the environment, shortened runs, the site and caches; never a result
	rm -rf $(VENV) short site build .pytest_cache .ruff_cache *.egg-info
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

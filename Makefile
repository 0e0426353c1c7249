# Everything runs from here; `make help` lists it. Needs Python 3.11 and make, nothing else.
SHELL := /bin/sh
PY := $(shell command -v python3.11 || command -v python3)
VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check
# How long the main part of `make bench` runs.
SECONDS ?= 60
# What `make bench-ingest` and `make bench-search` generate, and how much of it.
SEED ?= 1
SCALE ?= 1
# How much `make privacy-proof` erases and tries.
MESSAGES ?= 10000
PROBES ?= 10000
# How many messages `make chaos` lets customers write.
TURNS ?= 1000
# pytest-xdist: one process per core, two at least, because much of a test is waiting.
WORKERS ?= auto

.DEFAULT_GOAL := help
.PHONY: help setup run test check format migrate docs bench bench-retrieval bench-relevance bench-ingest bench-search bench-guardrails evals chaos privacy-proof

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 16

$(VENV)/.base: pyproject.toml constraints.txt
	@echo "Installing Jobx into $(VENV); the first time this takes a few minutes."
	@"$(PY)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "Jobx needs Python 3.11")'
	"$(PY)" -m venv $(VENV)
	$(PIP) install --constraint constraints.txt --upgrade pip setuptools
	$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	$(PIP) install --constraint constraints.txt --editable '.[bench]'
	@touch $@

setup: $(VENV)/.dev ## Install Jobx and what its development needs

run: $(VENV)/.base ## Start Jobx with a sample shop on 127.0.0.1:8000 (JOBX_PORT)
	@exec $(PYTHON) -m app.cli up

test: $(VENV)/.dev ## Run the tests
	@$(PYTHON) -m pytest -n $(WORKERS)

check: $(VENV)/.dev ## Check formatting, lint, types, imports and migrations
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m mypy
	@$(VENV)/bin/lint-imports --no-logo
	@JOBX_DATA_DIR=.cache/check $(PYTHON) -m app.cli migrate --check

format: $(VENV)/.dev ## Format the code and mend what the linter can
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

migrate: $(VENV)/.base ## Bring the database up to date (the embedded one, or JOBX_DATABASE_URL)
	@$(PYTHON) -m app.cli migrate

docs: $(VENV)/.dev ## Draw the pictures and lists of docs/ from the code
	@$(PYTHON) -m graphs.draw docs/graph.md
	@$(PYTHON) -m app.privacy_cli

bench: $(VENV)/.dev ## Measure Jobx: OUT=file takes the JSON, SECONDS=10 is a short run
	@$(PYTHON) -m bench $(OUT) --seconds $(SECONDS)

bench-retrieval: $(VENV)/.bench ## Measure what questions find beside other frameworks: DATA=folder in BEIR layout, OUT=file takes the JSON
	@$(PYTHON) -m bench.retrieval "$(DATA)" $(OUT)

bench-relevance: $(VENV)/.dev ## Measure how well "nothing relevant" is told: DATA="folder folder", OUT=file takes the JSON
	@$(PYTHON) -m bench.retrieval.relevance $(DATA) $(if $(OUT),--out $(OUT))

bench-ingest: $(VENV)/.bench ## Measure how fast documents are read beside another pipeline: OUT=file takes the JSON, SEED=n, SCALE=0.1 is a short run
	@$(PYTHON) -m bench.ingestion $(OUT) --seed $(SEED) --scale $(SCALE)

bench-search: $(VENV)/.dev ## Measure how fast a search is as chunks and tenants grow: OUT=file takes the JSON, SCALE=0.01 is a short run
	@$(PYTHON) -m bench.searching $(OUT) --seed $(SEED) --scale $(SCALE)

bench-guardrails: $(VENV)/.dev ## Measure what the guardrails add to a turn: OUT=file takes the JSON
	@$(PYTHON) -m bench.guardrails $(OUT)

bench-grounding: $(VENV)/.dev ## Measure which right and wrong answers groundedness lets through: OUT=file takes the JSON
	@$(PYTHON) -m bench.grounding $(OUT)

evals: $(VENV)/.dev ## Measure answers, refusals and attacks on the fixed suites: OUT=file takes the JSON, DATA=folder adds public sets, LIMIT=20 is a short run
	@$(PYTHON) -m bench.evals $(OUT) $(if $(DATA),--data "$(DATA)") $(if $(LIMIT),--limit $(LIMIT))

chaos: $(VENV)/.dev ## Prove that nothing is lost or said twice while all dies: OUT=file takes the JSON, TURNS=100 is a short run
	@$(PYTHON) -m chaos $(OUT) --turns $(TURNS)

privacy-proof: $(VENV)/.dev ## Prove erasure, isolation and egress: OUT=file takes the JSON, MESSAGES=100 PROBES=500 is a short run
	@$(PYTHON) -m proof $(OUT) --messages $(MESSAGES) --probes $(PROBES)

# OpenDSR's commands. Each sets up what it needs by itself, once; `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

PY := .venv/bin/python
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo "$$name"; break; fi; done)
INSTALL = $(if $(PYTHON),$(PYTHON) opendsr/run/install.py,$(error OpenDSR needs Python 3.11 or newer on the PATH \
	(Debian: sudo apt-get install python3 python3-venv), or make PYTHON=/path/to/python3))
ROOMS := $(wildcard manage.py opendsr oadr vtn members notices assets metering campaigns settlement hems)
# Tests keep their files and their PostgreSQL (fsync off) apart from yours.
TESTING = OPENDSR_ENV=test OPENDSR_VAR="$(CURDIR)/var/test"
PYTEST = $(TESTING) $(PY) -m pytest -n 2

.PHONY: up demo test unit test-all test-slow test-vtn-alone bench bench-metering bench-vtn lint types migrations-check shell migrate lock clean help

up: ## Serve the site, the worker and the VTN for use; Ctrl-C stops all (PORT=8000 VTN_PORT=8443)
	@$(INSTALL) site server
	@$(PY) manage.py up

demo: ## Play one campaign from consent to pence (HOMES=readings.csv, DEMO_DATE=2026-11-19)
	@$(INSTALL) site server
	@$(PY) manage.py demo

test: ## Everything that must hold before a commit, in minutes
	@$(INSTALL) dev server interop tests
	@$(MAKE) -j2 lint types migrations-check
	$(PYTEST) --dist loadfile -m "not slow"

unit: ## The unit part alone: what needs neither database nor program
	@$(INSTALL) dev server
	$(PYTEST) --dist loadfile -m "unit and not slow"

test-all: test test-slow test-vtn-alone ## The same and the slow matrices

test-slow:
	@$(INSTALL) dev server interop tests
	$(PYTEST) -m slow

bench-vtn: ## Measure the VTN beside openleadr's own (ARGS="--vens 1000" for a smaller site)
	@$(INSTALL) site server interop tests
	@$(PY) benchmarks/vtn_poll.py $(ARGS)
	@$(PY) benchmarks/vtn_campaign.py $(ARGS)
	@$(PY) benchmarks/vtn_storm.py $(ARGS)

test-vtn-alone: ## The VTN's tests in a project of its own: kernel, wire and VTN, no other room
	@$(INSTALL) dev server tests
	DJANGO_SETTINGS_MODULE=tests.vtn_alone.settings $(PYTEST) --confcutdir=tests/vtn -p tests.vtn_alone.plugin \
		-m "not slow" tests/vtn tests/oadr

bench: ## Measure; one line a figure: BENCH <name> <value> <unit> [goal <goal>]
	@$(INSTALL) site server bench interop tests
	@$(PY) manage.py bench

bench-metering: ## Readings in, on disk, out and on pages (BENCH_HOMES=200 BENCH_DAYS=14 BENCH_ROUNDS=1 for a smoke test)
	@$(INSTALL) site server
	@$(PY) manage.py bench metering_store $(notdir $(basename $(wildcard benchmarks/metering_mqtt.py)))

.PHONY: bench-web
bench-web: ## Every page over 10,000 members and a year: time, queries, bytes (ARGS="--members 200" for a smoke test)
	@$(INSTALL) site server dev
	@$(PY) benchmarks/web_pages.py $(ARGS)

.PHONY: screenshots
screenshots: ## Take a picture of every main page into docs/screenshots and write docs/tour.md
	@$(INSTALL) dev server tests
	$(TESTING) $(PY) -m pytest -q -n 0 tests/browser/take_screenshots.py

.PHONY: try-home-assistant
try-home-assistant: ## The hub beside a real Home Assistant (the first time installs it: minutes)
	@$(INSTALL) dev server tests home-assistant
	$(TESTING) $(PY) -m pytest -q tests/interop/try_home_assistant.py

lint: ## Style, imports between rooms, templates
	@$(INSTALL) dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	.venv/bin/lint-imports
	$(PY) -m djlint --quiet --lint templates vtn/templates

types: ## Type check
	@$(INSTALL) dev
	$(TESTING) $(PY) -m mypy $(ROOMS)

migrations-check:
	@$(INSTALL) dev server
	$(TESTING) $(PY) manage.py makemigrations --check --dry-run

shell: ## Django's shell on the local database
	@$(INSTALL) site server
	@$(PY) manage.py shell

migrate: ## Bring the local database up to date
	@$(INSTALL) site server
	@$(PY) manage.py migrate

lock: ## Compile requirements*.in into the locked, hashed .txt files (UPGRADE=1 for the newest)
	@$(INSTALL) lock

clean: ## Remove what tools made; the database and the secrets in var/ stay
	rm -rf .venv .venv-* var/test .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +

.PHONY: bench-settlement
bench-settlement: ## Baselines, placebo study and settlement, beside plain numpy and OpenDSM
	@$(INSTALL) site server bench
	@$(PY) manage.py bench baselines_10000_homes settle_1000_homes settlement_rounds

.PHONY: bench-campaigns
bench-campaigns: ## Least-cost plans, feeder caps and portfolios, beside milp, HiGHS and FlexMeasures (1.5 GB once)
	@$(INSTALL) site server bench bench-campaigns
	@$(PY) manage.py bench $(notdir $(basename $(wildcard benchmarks/campaigns_*.py)))

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

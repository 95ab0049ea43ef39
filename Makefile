# Two commands: `make up` and `make test`. `make help` lists the others.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Variables for ansible-playbook: make site ARGS="--check --diff"
ARGS ?=
PYTHON ?= python3
NAME := local
HOME_OF_CLUSTER := /var/lib/servicemesh-platform/$(NAME)
KUBECONFIG_OF_CLUSTER := $(HOME_OF_CLUSTER)/kubeconfig
KUBECTL := $(HOME_OF_CLUSTER)/bin/kubectl --kubeconfig $(KUBECONFIG_OF_CLUSTER)
VENV := .venv
ROLES := $(notdir $(wildcard molecule/*))

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# Tests and Molecule are given the local cluster, whatever the caller's own kubeconfig says.
with_cluster := KUBECONFIG=$(KUBECONFIG_OF_CLUSTER) HELM=$(HOME_OF_CLUSTER)/bin/helm

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z0-9_-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9_-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

# pip is quiet: what matters is which step runs.
$(VENV)/.made: requirements.txt test-requirements.txt
	@echo "== virtualenv"
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}; name one with make PYTHON=...")'
	if ! $(PYTHON) -c 'import ensurepip' 2> /dev/null; then apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv; fi
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r test-requirements.txt
	touch $@

.PHONY: setup
setup: $(VENV)/.made ## Make the virtualenv

.PHONY: up
up: setup ## Start or repair the local cluster, converge the platform, tell where it is
	@echo "== local cluster"
	ansible-playbook playbooks/local_up.yml -i inventories/local
	echo "== platform"
	ansible-playbook playbooks/site.yml -i inventories/local $(ARGS)
	$(MAKE) --no-print-directory status

.PHONY: site
site: setup ## Run site.yml on the local cluster, for example ARGS="--check --diff"
	@ansible-playbook playbooks/site.yml -i inventories/local $(ARGS)

.PHONY: status
status: setup ## Tell where the platform is and how its services are
	@ansible-playbook playbooks/status.yml -i inventories/local
	echo "ingress     $$($(MAKE) -s url)   (Host: ecommerce.example.com)"
	echo "kubeconfig  $(KUBECONFIG_OF_CLUSTER)"
	echo "try         curl -H 'Host: ecommerce.example.com' $$($(MAKE) -s url)/api/products"

.PHONY: down
down: setup ## Remove the local cluster and all that it left on this machine
	@ansible-playbook playbooks/local_down.yml -i inventories/local

.PHONY: url
url: ## Print the ingress' base URL
	@if ! [ -e $(KUBECONFIG_OF_CLUSTER) ]; then echo "there is no local cluster: run make up" >&2; exit 1; fi
	node=$$($(KUBECTL) get nodes -o 'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}')
	port=$$($(KUBECTL) -n ingress-nginx get service -l app.kubernetes.io/component=controller -o 'jsonpath={.items[0].spec.ports[?(@.name=="http")].nodePort}')
	echo "http://$$node:$$port"

.PHONY: kubeconfig
kubeconfig: ## Print the kubeconfig's path
	@echo $(KUBECONFIG_OF_CLUSTER)

.PHONY: test
test: up ## Run all tests, setting up what is missing
	@$(MAKE) --no-print-directory lint units sanity browser integration e2e molecule

.PHONY: lint
lint: setup ## ansible-lint (production), yamllint, ruff, mypy, changelog fragments
	@echo "== lint"
	ruff check .
	ruff format --check plugins tests
	mypy plugins
	yamllint --strict .
	ansible-lint --offline --strict -q
	antsibull-changelog lint

.PHONY: units
units: setup ## Unit, contract and rule tests, without a cluster
	@echo "== unit and contract tests"
	pytest -q tests/unit tests/contract

.PHONY: sanity
sanity: setup ## ansible-test sanity
	@echo "== ansible-test sanity"
	python tests/sanity/run.py

.PHONY: browser
browser: setup ## HTML reports in headless Chromium
	@if ! command -v chromium > /dev/null; then apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium > /dev/null; fi
	echo "== HTML reports in Chromium"
	pytest -q tests/browser

.PHONY: integration
integration: setup ## Modules, charts and rendered inventories against the local cluster's API server
	@echo "== integration tests"
	$(with_cluster) pytest -q tests/integration

.PHONY: e2e
e2e: setup ## The platform from its edge and from inside
	@echo "== end-to-end tests"
	$(with_cluster) pytest -q tests/e2e

.PHONY: molecule
molecule: setup ## Each role's Molecule scenario, or ROLES="datastore istio"
	@echo "== Molecule"
	export MOLECULE_GLOB='molecule/*/molecule.yml'
	for role in $(ROLES); do
	  echo "-- $$role"
	  # Molecule remembers that a scenario was prepared, though its cleanup takes that away again.
	  molecule reset --scenario-name $$role > /dev/null
	  $(with_cluster) molecule test --scenario-name $$role --destroy never
	done

.PHONY: bench
bench: setup ## Benchmarks on the local cluster (an hour), or BENCH="platform memory"
	@$(with_cluster) python -m tests.benchmarks $(BENCH)

# Two commands: `make up` and `make test`. `make help` lists the others.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Variables for ansible-playbook: make site ARGS="--check --diff"
ARGS ?=
# Likewise for the local cluster: make up CLUSTER_ARGS="-e local_cluster_tracing=false" ARGS="-e platform_tracing=none"
CLUSTER_ARGS ?=
PYTHON ?= python3
NAME := local
HOME_OF_CLUSTER := /var/lib/servicemesh-platform/$(NAME)
KUBECONFIG_OF_CLUSTER := $(HOME_OF_CLUSTER)/kubeconfig
KUBECTL := $(HOME_OF_CLUSTER)/bin/kubectl --kubeconfig $(KUBECONFIG_OF_CLUSTER)
VENV := .venv
ROLES ?=
empty :=
space := $(empty) $(empty)

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
	@:

.PHONY: up
up: setup ## Start or repair the local cluster, converge the platform, tell where it is
	@echo "== local cluster"
	ansible-playbook playbooks/local_up.yml -i inventories/local $(CLUSTER_ARGS)
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

.PHONY: demo
demo: setup ## Show a canary that is promoted and one that is rolled back, under load of its own (3 minutes)
	@ansible-playbook playbooks/demo.yml -i inventories/local $(ARGS)

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

# Each part of `make test` runs alone as well; the budgets stand in CONTRIBUTING.md. `make test` runs them side by side, as far as these
# lines allow. What starts a second cluster has time limits and comes alone; what hurts that cluster is beside a rebuild, which takes the
# platform down. After the rebuild, what has namespaces of its own runs beside what uses the platform; there, what changes services comes
# before what looks at them. What only computes begins with the rebuild and gives way to all that waits for pods: first the unit tests, some
# of which have time limits, and last what has none and may wait until the processor is free.
PARTS := local-cluster rebuild local-cluster-repairs integration molecule-apart e2e-changes e2e molecule-platform lint units sanity browser judge
run-rebuild run-local-cluster-repairs run-units: run-local-cluster
run-integration run-molecule-apart run-e2e-changes: run-rebuild
run-e2e run-molecule-platform: run-e2e-changes
run-sanity: run-lint
run-judge: run-sanity
run-browser run-lint: run-units

lint units sanity judge: BEHIND := --background
part = env -u MAKEFLAGS -u MFLAGS python -m tests.parts run $(AT_END) $(BEHIND) $(1) --
AT_END ?=
BEHIND :=
pytest = pytest -q --durations=20 --durations-min=1 --junitxml=build/tests/$@.xml
# The tests of a file share a worker and its bed; files start in the order of their names, in tests/integration the slow ones first.
workers := --dist loadfile --no-loadscope-reorder

.PHONY: test
test: ## Run all tests, setting up what is missing
	@$(MAKE) --no-print-directory setup forget run-up
	$(MAKE) --no-print-directory -j $(words $(PARTS)) AT_END=--at-end $(PARTS:%=run-%)
	$(MAKE) --no-print-directory times

.PHONY: forget
forget: setup
	@python -m tests.parts forget

.PHONY: times
times: setup ## Print what the parts of the last make test took, and the slowest tests
	@python -m tests.parts table

.PHONY: run-up
run-up: setup
	@$(call part,up) make --no-print-directory up

.PHONY: $(PARTS:%=run-%)
$(PARTS:%=run-%): run-%:
	@$(MAKE) --no-print-directory $*

.PHONY: generate
generate: setup ## Write the files, and parts of files, that are made of what the code says
	@python -m tests.generate

.PHONY: lint
lint: setup ## ansible-lint (production), yamllint, ruff, mypy, words, changelog fragments, generated files, Galaxy's importer, documentation
	@$(call part,$@) make --no-print-directory lint-alone

.PHONY: lint-alone
lint-alone: setup
	@ruff check .
	ruff format --check plugins tests
	mypy plugins
	yamllint --strict .
	ansible-lint --offline --strict -q
	antsibull-changelog lint
	python -m tests.words
	python -m tests.generate --check
	python docs/site/build.py --check
	python -m tests.artifact

.PHONY: docs
docs: setup ## Build the documentation site into build/docs/html
	@pip install --quiet --disable-pip-version-check -r docs-requirements.txt
	python docs/site/build.py

.PHONY: units
units: setup ## Unit, contract and rule tests, without a cluster
	@$(call part,$@) $(pytest) tests/unit tests/contract

.PHONY: judge
judge: setup ## The mTLS engine against Istio's own code, on 400 random meshes
	@$(call part,$@) $(pytest) tests/judge

.PHONY: test-long
test-long: setup ## What takes longer than make test: the mTLS engine against Istio's own code, on 20,000 random meshes
	@python -m tests.judge 20000 1000000

.PHONY: sanity
sanity: setup ## ansible-test sanity
	@$(call part,$@) python tests/sanity/run.py

.PHONY: browser
browser: setup ## HTML reports in headless Chromium
	@if ! command -v chromium > /dev/null; then apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium > /dev/null; fi
	$(call part,$@) nice -n 19 $(pytest) tests/browser

.PHONY: local-cluster
local-cluster: setup ## A second local cluster: started and removed, in time
	@$(call part,$@) $(pytest) tests/local_cluster/test_start.py

.PHONY: local-cluster-repairs
local-cluster-repairs: setup ## A second local cluster: damaged and repaired
	@$(call part,$@) $(pytest) tests/local_cluster/test_repairs.py

.PHONY: integration
integration: setup ## Modules, charts and rendered inventories against the local cluster's API server
	@$(with_cluster) $(call part,$@) $(pytest) $(workers) -n 2 -m "not alone" tests/integration

.PHONY: rebuild
rebuild: setup ## The whole platform taken down and brought back, site.yml killed on the way; then what changes istiod
	@$(with_cluster) $(call part,$@) $(pytest) -m alone tests/e2e tests/integration

.PHONY: e2e
e2e: setup ## The platform from its ingress and from inside, as it is
	@$(with_cluster) $(call part,$@) $(pytest) $(workers) -n 2 -m "not alone and not changes" tests/e2e

.PHONY: e2e-changes
e2e-changes: setup ## The platform while a canary or a teardown changes a service of it
	@$(with_cluster) $(call part,$@) $(pytest) $(workers) -n 2 -m "not alone and changes" tests/e2e tests/molecule/test_changing.py

.PHONY: molecule
molecule: setup ## Each role's Molecule scenario, or ROLES="datastore istio"
	@$(with_cluster) $(call part,$@) $(pytest) tests/molecule $(if $(ROLES),-k "$(subst $(space), or ,$(ROLES))")

.PHONY: molecule-apart
molecule-apart: setup ## The scenarios of roles that bring namespaces of their own
	@$(with_cluster) $(call part,$@) nice -n 10 $(pytest) tests/molecule/test_apart.py

.PHONY: molecule-platform
molecule-platform: setup ## The scenarios of roles that work on the platform
	@$(with_cluster) $(call part,$@) nice -n 10 $(pytest) tests/molecule/test_on_the_platform.py

.PHONY: matrix
matrix: setup ## Other versions of Ansible, Python and Helm on the local cluster; writes README's table; or MATRIX="2.21-3.13"
	@python -m tests.matrix $(MATRIX)

.PHONY: bench
bench: setup ## Benchmarks on the local cluster (an hour and a half), or BENCH="platform memory"
	@$(with_cluster) python -m tests.benchmarks $(BENCH)

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help install dev test test-unit test-integration test-cluster test-aws check clean

help: ## List the commands
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z_-]+:.*## / { printf "  %-24s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Everything runs on the Node 24 that comes with the dependencies: npm puts node_modules/.bin first in PATH.
node_modules/.package-lock.json: package.json package-lock.json
	npm ci --no-audit --no-fund
	@touch $@

install: node_modules/.package-lock.json

##@ This machine, without Docker
dev: install ## Run the service on http://localhost:5000 with a private database of its own
	@set -m; npm run --silent dev # a process group of its own, so that Ctrl-C ends it and not make

test: install ## Prove everything that can be proved on this machine
	@npm test

test-unit: install ## The tests that need neither a database nor a network
	@npm run --silent test:unit

test-integration: install ## Black box against BASE_URL, by default a service that it starts
	@npm run --silent test:integration

test-cluster: install ## The tests in a kind cluster of their own (needs Docker, kind and kubectl)
	@npm run --silent test:cluster

test-aws: install ## The rehearsal against an AWS-compatible endpoint (needs Docker and copilot)
	@npm run --silent test:aws

check: install ## Types, lint and format
	@npm run --silent check

clean: ## Remove what was built, installed and started here
	rm -rf node_modules k8s/dist .local

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
# A process group of its own: Ctrl-C ends the service in good order, and not make as well.
	@set -m; node_modules/.bin/node local-process/dev.ts

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

##@ AWS (Copilot); ENV=test unless you say ENV=prod
infra-plan: install ## What infra-create and publish would create or change; touches nothing
	@node_modules/.bin/node aws/infra-plan.ts

infra-create: install ## Create or update the application, environment and database; asks first
	@node_modules/.bin/node aws/infra-create.ts

publish: install ## Release this commit: AWS_ACCOUNT=123456789012 make publish
	@node_modules/.bin/node aws/publish.ts

logs-aws: install ## Follow the log of the service; SINCE=1h to begin earlier
	@node_modules/.bin/node aws/logs.ts

remote_validation: install ## The integration tests against the load balancer, or LOAD_BALANCER
	@node_modules/.bin/node aws/remote-validation.ts

stress_test: install ## A load test against LOAD_BALANCER, else http://localhost:5000; fails above 500 ms
	@node_modules/.bin/node aws/stress-test.ts

infra-destroy: install ## Remove the environment; asks first, and the database leaves a snapshot
	@node_modules/.bin/node aws/infra-destroy.ts

rehearse: install ## All of these against an AWS-compatible endpoint on this machine
	@node_modules/.bin/node aws/rehearse.ts
.PHONY: infra-plan infra-create publish logs-aws remote_validation stress_test infra-destroy rehearse

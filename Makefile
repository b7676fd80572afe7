SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help install doctor dev test test-unit test-integration test-drills test-cluster test-applications test-aws check clean

help: ## List the commands
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z_-]+:.*## / { printf "  %-24s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Everything runs on the Node 24 that comes with the dependencies: npm puts node_modules/.bin first in PATH.
node_modules/.package-lock.json: package-lock.json
	@sh tools/doctor/node.sh >/dev/null
	@echo 'installing the dependencies, Node 24 among them: about a minute'
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

install: node_modules/.package-lock.json ## Install the dependencies; the other targets do it when needed

# It runs before anything is installed, on a Node that takes TypeScript; an older one has to install Node 24 first.
doctor: ## What is missing on this machine, and what to type; FOR=dev, kind, aws or bench for one purpose
	@[ -x node_modules/.bin/node ] || sh tools/doctor/node.sh >/dev/null
	@[ -x node_modules/.bin/node ] || node -e 'process.exit(process.features.typescript ? 0 : 1)' \
	  || $(MAKE) --no-print-directory install
	@$$(command -v node_modules/.bin/node || command -v node) tools/doctor/main.ts

##@ This machine, without Docker
dev: install ## Run the service on http://localhost:5000 with a private database of its own
	@node_modules/.bin/node tools/process/dev.ts

test: install ## The tests that need no Docker, without drills and fuzzing
	@npm test

test-unit: install ## The tests that need neither a database nor a network
	@npm run --silent test:unit

test-integration: install ## Black-box tests of the service at BASE_URL; by default it starts one
	@npm run --silent test:integration

test-drills: install ## The fault drills in short, and the fuzzing of the API
	@npm run --silent test:drills

test-cluster: install ## The tests in a kind cluster; needs Docker, kind and kubectl
	@npm run --silent test:cluster

test-applications: install ## The tests of plusone up with sample workspaces; needs Docker, kind and kubectl
	@npm run --silent test:applications

test-aws: install ## The tests against an AWS-compatible endpoint; needs Docker and Copilot
	@npm run --silent test:aws

check: install ## Check types, lint and format
	@npm run --silent check

# .local has the way to the clusters of this folder, so they have to go first; and they hold data.
clean: ## Remove what was built and installed here; refuses while a cluster of this folder exists
	@if command -v kind >/dev/null; then for name in $$(kind get clusters --quiet 2>/dev/null); do \
	  ! grep -qsx -- "  name: kind-$$name" .local/kubeconfig || { \
	    echo "The cluster $$name is still there: make down CLUSTER=$$name deletes it with its data" >&2; exit 1; }; \
	done; fi
	rm -rf node_modules k8s/dist .local

##@ Kubernetes (kind); PORT, CLUSTER, TAG choose another port, cluster, image tag; WORKERS=2 adds nodes; DATABASE=cluster: three MySQL servers
CLUSTER ?= plusone
KUBECTL = kubectl --kubeconfig .local/kubeconfig --context kind-$(CLUSTER) --namespace plusone
.PHONY: up down shell logs logs-search status restart dashboard local_integration_test

up: install ## Run the service in a kind cluster on http://localhost:5000; run it again after a change
	@CLUSTER=$(CLUSTER) node_modules/.bin/node local-kind/up.ts

# It is the answer to whether the data may go, but only for a cluster of this folder, or one that is named.
down: ## Delete the cluster and its data
	@if ! command -v kind >/dev/null; then exit 0; fi; \
	ports=$$(docker inspect --format '{{json .HostConfig.PortBindings}}' $(CLUSTER)-control-plane 2>/dev/null) || true; \
	if [ "$$ports" ] && [[ $$ports != *'"30500/tcp"'* ]]; then \
	  echo "The kind cluster $(CLUSTER) was not made by make up: kind delete cluster --name $(CLUSTER)" >&2; exit 1; \
	fi; \
	if [ "$$ports" ] && [ "$(origin CLUSTER)" = file ] && ! grep -qsx -- '  name: kind-$(CLUSTER)' .local/kubeconfig; then \
	  echo "The cluster $(CLUSTER) was not made in this folder: make down CLUSTER=$(CLUSTER) deletes it with its data" >&2; exit 1; \
	fi; \
	kind delete cluster --name $(CLUSTER) --kubeconfig .local/kubeconfig

shell: cluster ## Open a shell in a pod of MySQL; it reads a script from stdin, too
	@$(KUBECTL) exec -i $$([ ! -t 0 ] || echo -t) statefulset/mysql -c mysql -- bash

logs: cluster ## Show the log of the service; on a terminal, follow it
	@$(KUBECTL) logs -l app.kubernetes.io/name=plusone --all-containers --prefix --tail=100 $$([ ! -t 1 ] || echo -f)

logs-search: install cluster ## Search the logs of all pods in OpenSearch: QUERY='status:>=500' or SEARCH=errors, SINCE=1h
	@CLUSTER=$(CLUSTER) node_modules/.bin/node tools/dashboard/logs-search.ts

status: cluster ## Show the pods, the autoscaler and their state
	@$(KUBECTL) get deployments,statefulsets,pods,services,horizontalpodautoscalers,jobs

restart: cluster ## Replace the pods one by one; no request fails
	@$(KUBECTL) rollout restart deployment/plusone
	@$(KUBECTL) rollout status deployment/plusone --timeout=180s

dashboard: install cluster ## Grafana on http://localhost:3000, until Ctrl-C
	@CLUSTER=$(CLUSTER) node_modules/.bin/node tools/dashboard/up.ts

local_integration_test: up ## make up, then the integration tests against the service in the cluster
	@BASE_URL=http://localhost:$$(docker port $(CLUSTER)-control-plane 30500/tcp | cut -d: -f2) npm run --silent test:integration

.PHONY: cluster
cluster:
	@[ -f .local/kubeconfig ] && $(KUBECTL) config get-contexts kind-$(CLUSTER) >/dev/null 2>&1 \
	  || { there=$$(kind get clusters --quiet 2>/dev/null | sed 's/^/CLUSTER=/' | paste -sd ' '); \
	    echo "The cluster $(CLUSTER) is not there: make up$${there:+; or name one that is: $$there}" >&2; exit 1; }

##@ Benchmark
.PHONY: bench
bench: install ## Compare the service with node:http, Rust, Go, Fastify and Express; ten minutes, with QUICK=1 one; GENERATED=1: with a service of plusone new
	@npm run --silent bench -- $(if $(QUICK),--quick) $(if $(GENERATED),--generated)

##@ Faults and supply chain
# On what is there: the process always, the kind cluster when `make up` made one; AWS only by TARGET=aws.
drill: install ## Inject faults under load; DRILL=name, TARGET=process|kind|aws, QUICK=1 for short faults
	@node_modules/.bin/node tools/drills/main.ts $(or $(DRILL),all) $(addprefix --target=,$(TARGET)) $(if $(QUICK),--quick)

fuzz: install ## Fuzz the API with Schemathesis and malformed HTTP; FUZZ_CASES=20000 FUZZ_SEED=7 for more
	@npm run --silent fuzz

sbom: install ## Write the SBOM of the image to plusone.cdx.json (CycloneDX)
	@npm sbom --package-lock-only --sbom-format cyclonedx --omit dev > plusone.cdx.json
	@echo plusone.cdx.json

audit: install ## Look up known vulnerabilities of the packages in the image
	@npm audit --omit dev

GITLEAKS = v8.24.0
secrets: .local/gitleaks-$(GITLEAKS) ## Scan the history and the image plusone:dev for secrets; needs Go
	@$< git . --no-banner --redact
	@if docker image inspect plusone:dev >/dev/null 2>&1; then \
	  image=$$(mktemp -d); trap 'rm -rf "$$image"' EXIT; container=$$(docker create plusone:dev); \
	  docker cp --quiet "$$container:/app" "$$image"; docker rm "$$container" >/dev/null; \
	  $< dir "$$image" --no-banner --redact; \
	fi

.local/gitleaks-$(GITLEAKS):
	@mkdir -p .local
	@GOBIN=$(CURDIR)/.local go install github.com/zricethezav/gitleaks/v8@$(GITLEAKS)
	@mv .local/gitleaks $@
.PHONY: drill fuzz sbom audit secrets

##@ AWS (Copilot); ENV=test by default; EJECTED=1 after plusone eject
EJECT = node_modules/.bin/node tools/cli.ts eject
EJECTED_SERVICE = --environment $(or $(ENV),test) --service plusone
# They run `copilot env deploy` or `copilot env delete`, which take the steps of eject back or know nothing of them.
ifdef EJECTED
infra-plan infra-create infra-destroy: refuse-ejected
.PHONY: refuse-ejected
refuse-ejected:
	@echo 'EJECTED=1: this target runs Copilot, and the environment was taken out of it: docs/eject.md' >&2; exit 1
endif

infra-plan: install ## Show what infra-create and publish would change; changes nothing
	@node_modules/.bin/node tools/aws/infra-plan.ts

infra-create: install ## Create or update the application, environment and database; asks first
	@node_modules/.bin/node tools/aws/infra-create.ts

publish: install ## Release this commit: AWS_ACCOUNT=123456789012 make publish
	@$(if $(EJECTED),$(EJECT) deploy $(EJECTED_SERVICE) $(if $(YES),--yes),node_modules/.bin/node tools/aws/publish.ts)

logs-aws: install ## Follow the log of the service; SINCE=1h to begin earlier
	@$(if $(EJECTED),$(EJECT) logs $(EJECTED_SERVICE) --follow --since $(or $(SINCE),5m),node_modules/.bin/node tools/aws/logs.ts)

search: install ## Search the logs in OpenSearch: QUERY='level:error' or SEARCH=errors, SINCE=1h
	@node_modules/.bin/node tools/aws/search.ts

logs-resend: install ## Ship the log lines again that could not be stored
	@node_modules/.bin/node tools/aws/logs-resend.ts

pager: install ## Connect PagerDuty: make pager < file-with-the-integration-key
	@node_modules/.bin/node tools/aws/pager.ts

scale-status: install ## Show the number of tasks, and the last decisions of the scaler with reasons; TARGET=kind: of pods
	@CLUSTER=$(CLUSTER) node_modules/.bin/node tools/$(if $(filter kind,$(TARGET)),dashboard,aws)/scale-status.ts

uptime: install ## Create the uptime checks: Route 53, or Pingdom with PINGDOM_TOKEN
	@node_modules/.bin/node tools/aws/uptime.ts

remote_validation: install ## Run the integration tests against the load balancer, or LOAD_BALANCER
	@node_modules/.bin/node tools/aws/remote-validation.ts

stress_test: install ## Run a load test of LOAD_BALANCER or http://localhost:5000; fails if p99 is above 500 ms
	@node_modules/.bin/node tools/aws/stress-test.ts

rotate-password: install ## Change the password of the database; the tasks need no restart
	@node_modules/.bin/node tools/aws/rotate-password.ts

infra-destroy: install ## Delete the environment; asks first, and keeps a snapshot of the database
	@node_modules/.bin/node tools/aws/infra-destroy.ts

rehearse: install ## Test all of these against an AWS-compatible endpoint
	@node_modules/.bin/node tools/aws/rehearse.ts
.PHONY: infra-plan infra-create publish logs-aws scale-status search logs-resend pager uptime remote_validation stress_test rotate-password infra-destroy rehearse

# Gatehouse. `make` lists what can be made.

MODULE  := github.com/gatehouse-auth/gatehouse
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
# How Go's runtime watches its threads: docs/adr/0017.
RUNTIME := schedtrace=2147483647
GOFILES := $(shell find . -name '*.go' -not -path './test/node_modules/*' -not -path './sdk/*')

GOLANGCI_LINT := .tools/golangci-lint-v2.15.0
GOTESTSUM     := .tools/gotestsum-v1.13.0
BENCHSTAT     := .tools/benchstat-v0.0.0-20260908200009-22c9c6c9d4da
NODE_BIN      := $(CURDIR)/test/node_modules/.bin
TEST_NODE     := test/node_modules/.package-lock.json
SDK_NODE      := sdk/typescript/node_modules/.package-lock.json

run_bench      = go run -ldflags "-X runtime.godebugDefault=$(RUNTIME)" ./bench
generate_sdk   = cd sdk/typescript && PATH=$(NODE_BIN):$$PATH npm run --silent generate

# Each package must reach this share of its statements, in percent.
COVERAGE ?= 85
FUZZTIME ?= 10s
DOCKER   ?= docker

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help generate build run lint lint-openapi test test-race test-postgres test-e2e bench bench-growth bench-compare bench-baseline allocations fuzz cover \
	docker sdk verify clean clean-machine deps

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

generate: $(SDK_NODE) $(TEST_NODE) ## Generate api/ and the SDK's types from openapi.yaml
	@go generate ./...
	@$(generate_sdk)

build: bin/gatehouse ## Build bin/gatehouse, one static program

bin/gatehouse: $(GOFILES) go.mod go.sum openapi.yaml $(wildcard migrations/*/*.sql)
	@CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION) -X runtime.godebugDefault=$(RUNTIME)' -o $@ ./cmd/gatehouse

run: build ## Start a development server, with a database, a secret and a first user
	@exec bin/gatehouse serve --development

lint: $(GOLANGCI_LINT) ## Check the Go code
	@$(GOLANGCI_LINT) run ./...

lint-openapi: $(TEST_NODE) ## Check the contract
	@PATH=$(NODE_BIN):$$PATH REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
		redocly lint --config test/redocly.yaml openapi.yaml

test: deps verify lint lint-openapi allocations cover $(if $(CI),clean-machine) ## Prove everything: SQLite, PostgreSQL, Cognito, Django, SDK, container

test-race: ## Run the Go tests but e2e, with the race detector, on a PostgreSQL of their own
	@scripts/postgres.sh go test -race $$(go list ./... | grep -v '/e2e$$')

test-postgres: ## Run the tests of the store on a PostgreSQL of their own
	@scripts/postgres.sh go test -race ./repo/... ./migrations/...

test-e2e: build $(TEST_NODE) sdk ## Run Gatehouse beside Cognito, Django, the SDK and in a container
	@scripts/postgres.sh go test ./e2e/...

cover: $(GOTESTSUM) $(TEST_NODE) sdk build ## Run every Go test and hold the coverage to its bound
	@GOTESTSUM=$(GOTESTSUM) COVERAGE=$(COVERAGE) scripts/postgres.sh scripts/cover.sh

bench: build deps ## Measure the service against its limits and its peer: bench/results/ (BENCH_QUICK=1 for 3 minutes, BENCH=-h for less)
	@scripts/postgres.sh $(run_bench) run $(BENCH)

bench-growth: build deps ## Measure ten million sessions beside ten thousand, and a day of churn
	@GATEHOUSE_POSTGRES_OPTIONS="-c shared_buffers=6GB -c max_wal_size=16GB" scripts/postgres.sh $(run_bench) growth

bench-compare: $(BENCHSTAT) ## Compare the hot functions with bench/baseline.txt
	@scripts/bench-compare.sh $(BENCHSTAT)

bench-baseline: ## Make bench/baseline.txt anew, on a quiet machine
	@scripts/bench-compare.sh '' update

allocations: ## Hold the allocations of the hot functions to bench/allocations.tsv
	@scripts/allocations.sh

fuzz: ## Fuzz every parser of untrusted bytes, FUZZTIME (10s) each
	@FUZZTIME=$(FUZZTIME) scripts/fuzz.sh

docker: ## Build the container image gatehouse:dev (DOCKER=podman for podman)
	@$(DOCKER) build -f deploy/Dockerfile --build-arg VERSION=$(VERSION) -t gatehouse:dev .

sdk: $(TEST_NODE) sdk/typescript/src/api.gen.ts ## Generate, type-check, build and test the TypeScript SDK
	@cd sdk/typescript && export PATH=$(NODE_BIN):$$PATH && npm run --silent build && npm run --silent test

sdk/typescript/src/api.gen.ts: openapi.yaml $(SDK_NODE) $(TEST_NODE)
	@$(generate_sdk)

verify: ## Fail if what is generated has drifted, or go.mod is not tidy
	@scripts/verify.sh

deps: ## Install what the tests need, or name it
	@scripts/deps.sh

clean-machine: ## Follow the README on a Debian with nothing but Go, make, git and curl
	@scripts/clean-machine.sh

clean: ## Remove what was built, and the development database
	@rm -rf bin coverage* .tools test/node_modules sdk/typescript/node_modules sdk/typescript/dist \
		gatehouse.db gatehouse.db-shm gatehouse.db-wal *.secret

$(GOLANGCI_LINT):
	@scripts/tool.sh $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(BENCHSTAT):
	@scripts/tool.sh $@ golang.org/x/perf/cmd/benchstat

$(GOTESTSUM):
	@scripts/tool.sh $@ gotest.tools/gotestsum

$(TEST_NODE): test/package-lock.json
	@cd test && npm ci --silent --ignore-scripts && touch node_modules/.package-lock.json

$(SDK_NODE): sdk/typescript/package-lock.json
	@cd sdk/typescript && npm ci --silent --ignore-scripts && touch node_modules/.package-lock.json

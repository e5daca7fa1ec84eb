# Sidereal. `make run` starts the product with its demo, `make test` proves it; both need only Go and Node.
SHELL := /bin/bash
GO ?= go
BUNDLE := internal/demo/bundle
CHARTS := internal/dashboard/charts
FUZZTIME ?= 60s
ARGS ?=
# more flags for the tests that `make unit` and `make test` run
TESTFLAGS ?=

# Everything is compiled in one way, the product's, so that no target compiles again what another has: most of the time of
# `make test` on a new machine. Only the race detector needs C.
export GOFLAGS := $(filter-out -trimpath,$(shell $(GO) env GOFLAGS)) -trimpath
build unit test check: export CGO_ENABLED := 0

.DEFAULT_GOAL := help
.PHONY: run build unit test check lint vulncheck bench bench-scale bench-hosts bench-storm bench-cluster interop flakes cover fuzz soak demo picture demo-test dist image help generate deps

# Unless you choose an adapter, clients resume their sessions after a worker's death.
run: $(BUNDLE)/package.json ## start `sidereal up` with the demo on :8080 (ARGS='-i 4' to pass more)
	@$(MAKE) --no-print-directory build
	@if [ -z "$$SIDEREAL_ADAPTER$$SIDEREAL_RECOVERY" ]; then export SIDEREAL_ADAPTER=redis-streams SIDEREAL_RECOVERY=2m; fi; \
	exec ./bin/sidereal up $(ARGS)

build: ## compile bin/sidereal
	@echo 'make: building bin/sidereal (the first time takes a minute)' >&2
	@GO='$(GO)' scripts/build.sh bin/sidereal

# The client bundle and the charts of the pinned npm packages, their integrity checked by npm against the lock file. Without
# npm the binary is built without them: the paths below /socket.io/ say how to get the client, and the dashboard has figures
# without charts.
$(BUNDLE)/package.json: e2e/package.json e2e/package-lock.json
	@if command -v npm >/dev/null 2>&1; then scripts/bundle.sh $(BUNDLE) $(CHARTS); \
	else echo 'make: npm is not here: building without the Socket.IO client bundle (the page says how to get it) and without charts in the dashboard' >&2; fi

unit: ## go test ./... with nothing but Go
	$(GO) test $(TESTFLAGS) ./...

deps: ## install what `make test` needs: npm packages, redis-server, nginx, haproxy, chromium, Python packages
	@scripts/deps.sh test

test: deps $(BUNDLE)/package.json ## everything: unit, integration on a real Redis, end to end with the official client and a browser
	@$(MAKE) --no-print-directory build
	@$(GO) list -export -tags e2e ./... >/dev/null # compiles: some tests ask go for the same, beside the others
	TESTKIT_REQUIRE=1 $(GO) test -tags e2e -count=1 -timeout 15m -p 3 $(TESTFLAGS) ./...
	cd e2e/outside && TESTKIT_REQUIRE=1 $(GO) test -count=1 $(TESTFLAGS) ./...
	cd examples/desk/routers && $(GO) test $(TESTFLAGS) ./...
	cd tools/pack && TESTKIT_REQUIRE=1 $(GO) test $(TESTFLAGS) ./...
	@GO='$(GO)' TESTFLAGS='$(TESTFLAGS)' scripts/redises.sh

check: ## gofmt, go vet, staticcheck, errcheck, golangci-lint, go test -race, govulncheck (GOVULNDB=file:///srv/vulndb on a closed network)
	@scripts/deps.sh check
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not gofmt-ed:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags e2e,soak ./e2e/... ./examples/...
	cd e2e/outside && $(GO) vet ./...
	cd examples/desk/routers && $(GO) vet ./...
	cd tools/plot && $(GO) vet ./... && $(GO) test ./...
	cd tools/pack && $(GO) vet ./...
	GOOS=darwin $(GO) build ./...
	$(GO) tool staticcheck ./...
	$(GO) tool staticcheck -tags e2e,soak ./e2e/... ./examples/...
	@GO='$(GO)' scripts/errcheck.sh
	@$(MAKE) --no-print-directory lint
	CGO_ENABLED=1 $(GO) test -race -vet=off -p 3 ./...
	@$(MAKE) --no-print-directory vulncheck

lint: ## golangci-lint with .golangci.yml, at the version of tools/lint/go.mod
	$(GO) tool -modfile=tools/lint/go.mod golangci-lint run ./...

vulncheck: ## look for known vulnerabilities in what the code calls (VULNCHECK=require: fail where the database is out of reach)
	@GO='$(GO)' scripts/vulncheck.sh ./...

bench: ## Go benchmarks of every hot path, with allocations
	$(GO) test -run '^$$' -bench . -benchmem ./...

bench-scale: deps build ## compare with Node's socket.io, nginx and HAProxy in one run, into docs/performance.md
	$(GO) run ./e2e/bench -o docs/performance.md

# Lists are variables of their own: $(or) would take the first of them.
HOSTS ?= 1,2,4,8
CLUSTER_MEMBERS ?= 10,100,300

# A run that fails, or that ^C ends, leaves the report and the pictures of its whole rounds.
bench-hosts: deps ## compare 1, 2, 4 and 8 hosts: CPU of a message, into docs/hosts.md (HOSTS=1,2 HOSTS_ROUNDS=1 HOSTS_OUT=/tmp for two minutes; HOSTS_ADAPTER=redis-sharded)
	@mkdir -p bin '$(or $(HOSTS_OUT),docs)/images' && rm -f bin/hosts.json
	@failed=0; $(GO) run ./e2e/bench hosts -hosts '$(HOSTS)' -rounds '$(or $(HOSTS_ROUNDS),5)' -adapter '$(or $(HOSTS_ADAPTER),redis)' \
		-o '$(or $(HOSTS_OUT),docs)/hosts.md' -charts bin/hosts.json || failed=1; \
	images=$$(realpath '$(or $(HOSTS_OUT),docs)/images') && cd tools/plot && $(GO) run . -o "$$images" <../../bin/hosts.json && exit $$failed

bench-storm: deps ## kill one of four hosts with a quarter of the clients, into docs/storm.md (STORM_CLIENTS=40000 STORM_HOSTS=4 STORM_ROUNDS=1 STORM_OUT=/tmp)
	@mkdir -p bin '$(or $(STORM_OUT),docs)/images' && rm -f bin/storm.json
	@failed=0; $(GO) run ./e2e/bench storm -hosts '$(or $(STORM_HOSTS),4)' -clients '$(or $(STORM_CLIENTS),10000)' -rounds '$(or $(STORM_ROUNDS),3)' \
		-o '$(or $(STORM_OUT),docs)/storm.md' -charts bin/storm.json || failed=1; \
	images=$$(realpath '$(or $(STORM_OUT),docs)/images') && cd tools/plot && $(GO) run . -o "$$images" <../../bin/storm.json && exit $$failed

bench-cluster: ## simulate clusters of 10 to 300 servers on a real Redis (CLUSTER_MEMBERS=10,1000 CLUSTER_PARTS=sharded CLUSTER_REDIS=cluster for others)
	CLUSTER_MEMBERS='$(CLUSTER_MEMBERS)' CLUSTER_PARTS='$(CLUSTER_PARTS)' CLUSTER_REDIS='$(CLUSTER_REDIS)' CLUSTER_OUT='$(CLUSTER_OUT)' \
		TESTKIT_REQUIRE=1 $(GO) test -tags soak -run TestSoakGrowth -count=1 -timeout 0 -v ./e2e/cluster

interop: deps ## compare servers of ours and Node's in one cluster, operation by operation, into docs/interop.md
	TESTKIT_REQUIRE=1 $(GO) test -tags e2e -count=1 ./e2e/interop -write

flakes: deps build ## run the tests again and again under hostile conditions, print a table of failures (FLAKES_PKG=./worker FLAKES_RUN=Parked FLAKES_ROUNDS=9 FLAKES_TIME=20m; FLAKES_FULL=30 FLAKES_BUSY=10: rounds of `make test` in fresh clones)
	@$(GO) build -o bin/flakes ./e2e/flakes
	@exec bin/flakes -rounds '$(or $(FLAKES_ROUNDS),3)' -time '$(or $(FLAKES_TIME),0)' -count '$(or $(FLAKES_COUNT),1)' -run '$(FLAKES_RUN)' \
		-tags '$(FLAKES_TAGS)' -conditions '$(FLAKES_CONDITIONS)' -o '$(or $(FLAKES_OUT),flakes)' -full '$(or $(FLAKES_FULL),0)' \
		-busy '$(or $(FLAKES_BUSY),0)' -cold '$(or $(FLAKES_COLD),0)' -revision '$(or $(FLAKES_REVISION),HEAD)' $(FLAKES_PKG)

cover: deps $(BUNDLE)/package.json ## how much of each package the unit tests and the end-to-end tests run, and both together
	@GO='$(GO)' scripts/cover.sh

fuzz: ## run every fuzz target for FUZZTIME (default 60s) each
	@scripts/fuzz.sh $(FUZZTIME)

soak: deps build ## 10 minutes of 5,000 clients that come and go, and reloads under 1,000 (SOAK_TIME=1m SOAK_CLIENTS=500 RELOAD_CLIENTS=200 for less)
	$(GO) test -tags soak -run TestSoak -count=1 -timeout 0 -v ./e2e/soak
	RELOAD_CLIENTS=$${RELOAD_CLIENTS:-1000} RELOAD_EVERY=$${RELOAD_EVERY:-200ms} $(GO) test -tags e2e -run TestReloadOf -count=1 -timeout 30m -v ./e2e

demo: ## docker compose up: Redis, two hosts, a plain balancer on 127.0.0.1:8080
	docker compose up --build

picture: deps $(BUNDLE)/package.json build ## take the README's picture of the demo again, into docs/images/demo.png
	SCREENSHOTS=$(CURDIR)/docs/images TESTKIT_REQUIRE=1 $(GO) test -tags e2e -count=1 -run TestPageAmongOfficialClients ./e2e

demo-test: deps ## the same, in the background, with clients joining through the balancer; ends by itself
	@scripts/demo-test.sh

dist: $(BUNDLE)/package.json ## static binaries for Linux and macOS, and packages for npm, Debian and RPM, in dist/ (VERSION=1.2.3)
	@GO='$(GO)' scripts/dist.sh

image: ## a container image, sidereal:VERSION, with the version of this checkout (VERSION=1.2.3 for another)
	@eval "$$(scripts/version.sh)" && docker build -t "sidereal:$$version" --build-arg VERSION="$$version" \
		--build-arg BUILD_COMMIT="$$commit" --build-arg BUILD_DATE="$$date" .

generate: ## write docs/configuration.md and docs/redis.md anew
	$(GO) generate ./...

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

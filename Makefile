# Everything is a target here; "make help" lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GOTOOL    := go tool -modfile=tools/go.mod
BUILD     := CGO_ENABLED=0 go build -trimpath
LDFLAGS   := -s -w -X main.version=$(VERSION)
# The agent pushes small batches over one connection: HTTP/2 would be a third of a
# megabyte for nothing.
TAGS_attesto-agent := -tags nethttpomithttp2
# Inlined copies of functions are a megabyte of it: only what runs often is worth them.
OFTEN := runtime internal/runtime/maps regexp github.com/attesto/attesto/collectors/eventlog
# Functions start on 8 bytes in place of 32: a fifth of a megabyte.
LDFLAGS_attesto-agent := -funcalign=8
FLAGS_attesto-agent := -gcflags=all=-l $(foreach p,$(OFTEN),-gcflags=$(p)=)
PROGRAMS  := attesto-agent attesto-server attesto-verify attesto-vmware
ON_HOSTS  := ./evidence ./collectors/... ./agent/... ./cmd/attesto-agent ./cmd/attesto-verify
FUZZTIME  ?= 20s
KEPT = evidence/FuzzEnvelope evidence/FuzzStatement evidence/FuzzCheckpoint evidence/FuzzProof evidence/FuzzCosignature cmd/attesto-verify/FuzzBundle
# What tests use as real parts, by Debian package.
TEST_PACKAGES := rbldnsd restic borgbackup postgresql chromium fonts-liberation \
	systemd systemd-journal-remote util-linux logrotate ripgrep rpm dnf createrepo-c dpkg-dev apt-utils openssl python3 swtpm smartmontools poppler-utils strace duplicity libvirt-clients \
	clamav clamav-daemon clamdscan postfix needrestart debootstrap

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

.PHONY: build
build: ## build the programs into bin/
	@mkdir -p bin
	@$(foreach p,$(PROGRAMS),echo "building bin/$(p)"; $(BUILD) -ldflags "$(LDFLAGS) $(LDFLAGS_$(p))" $(TAGS_$(p)) $(FLAGS_$(p)) -o bin/$(p) ./cmd/$(p);)

.PHONY: demo
demo: build ## provider, customer, agents and board on this host; ARGS="--once --json --keep DIR"
	@bin/attesto-server demo $(ARGS)

.PHONY: deps
deps: ## install what the tests need (Debian or Ubuntu)
	@packaging/scripts/install-packages.sh $(TEST_PACKAGES)
	@packaging/scripts/unpack-package.sh exim4-daemon-light

# These take longest; begun first, the others run beside them. One more than there are
# processors: some wait for programs that are killed and started again.
LONGEST := ./server ./server/web ./cmd ./agent
AT_ONCE := $(shell expr $$(nproc) + 1)
# What the race detector need not watch, at half the time of all tests: SQLite, which is C
# turned into Go on a heap outside Go's, where it sees nothing anyway; and the arithmetic of
# Ed25519, pure functions. Only packages that share no generic code with ours may stand here:
# the packages around SQLite do, and unwatched atomics hide how goroutines were ordered.
UNWATCHED := -gcflags=modernc.org/sqlite/lib=-race=false -gcflags=crypto/internal/fips140/edwards25519/...=-race=false

.PHONY: test
test: deps ## install what tests need, then run all of them with the race detector
	go vet ./...
	CI=$${CI:-true} go test -race -p $(AT_ONCE) $(UNWATCHED) -timeout 40m $(LONGEST) ./...
	go test -run '^(TestBounded|Fuzz)' ./collectors/... # what parsers allocate, which the race detector changes
	go -C tools test ./mutate # the tool of the mutation run

.PHONY: fixtures
fixtures: ## try every parser on a folder of captured files: make fixtures FIXTURES=DIR
	@test -d "$(FIXTURES)" || { echo "FIXTURES=$(FIXTURES) names no folder"; exit 2; }
	@packaging/scripts/fixtures.sh "$(FIXTURES)"

.PHONY: lint
lint: ## golangci-lint, and govulncheck where its data can be reached
	$(GOTOOL) golangci-lint run ./...
	@packaging/scripts/vulnerabilities.sh $(GOTOOL)

.PHONY: cross
cross: ## build and vet what runs on customers' hosts for the other platforms
	@for target in windows/amd64 linux/arm64; do echo "vet and build for $$target"; \
	  export GOOS=$${target%/*} GOARCH=$${target#*/} CGO_ENABLED=0; \
	  go vet $(ON_HOSTS); go build -o /dev/null ./cmd/attesto-agent; go build -o /dev/null ./cmd/attesto-verify; done

.PHONY: bench
bench: build ## measure, each figure beside its baseline in the same run
	@packaging/scripts/idle.sh
	go test -run '^$$' -bench . -benchtime 2s ./evidence ./collectors/... ./server/... ./cmd/attesto-verify | grep -vE '^(ok|PASS|goos|goarch|pkg|cpu|\?|testing:)'

MUTATED ?= .
.PHONY: mutate
mutate: ## put small faults into the judging and see whether a test finds each: make mutate [MUTATED='history|replay']
	go -C tools run ./mutate -only '$(MUTATED)' ../server/duties

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME
	@for pkg in $$(go list ./...); do dir=$$(go list -f '{{.Dir}}' $$pkg); \
	  for f in $$(cat /dev/null $$dir/*_test.go | grep -oE '^func Fuzz[A-Za-z0-9_]+' | awk '{print $$2}' | sort); do \
	    echo "$$pkg $$f"; go test $$pkg -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x | tail -n 1; done; done

.PHONY: corpus
corpus: ## keep what fuzzing found of the evidence's forms (up to 700 inputs a target), for every later test run
	@cache="$$(go env GOCACHE)/fuzz/$$(go list -m)"; for t in $(KEPT); do from="$$cache/$$t"; to="$${t%/*}/testdata/fuzz/$${t##*/}"; \
	  test -d "$$from" || continue; mkdir -p "$$to"; ls -Sr "$$from" | head -n 700 | while read -r f; do cp "$$from/$$f" "$$to/"; done; done

.PHONY: packages
packages: build ## deb and rpm of agent, server and attesto-vmware into dist/
	@rm -rf dist && mkdir -p dist
	@for p in agent server vmware; do for form in deb rpm; do \
	  VERSION="$$(packaging/scripts/package-version.sh '$(VERSION)')" GOARCH="$$(go env GOARCH)" \
	  $(GOTOOL) nfpm package --config packaging/nfpm/$$p.yaml --packager $$form --target dist/; done; done

.PHONY: vendor
vendor: ## fetch the pinned style sheet and script of the pages, and what tests check them with, by npm
	packaging/scripts/vendor.sh htmx.org@2.0.11 @tabler/core@1.6.1 axe-core@4.14.1

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist artifacts

# make build   bin/einvoice-bridge, for this machine
# make dist    static binaries for Linux (amd64, arm64) and Windows (amd64)
# make deb     Debian packages for amd64 and arm64
#
# make test      all tests; says what it skips (.ci/run installs what they compare with)
# make lint      format, vet, staticcheck
# make fuzz      every fuzz target for FUZZTIME (10s) each
# make bench     the parts of a call, one by one, beside their budgets; fails on too many allocations
# make fixtures  rewrites what is made from code: golden files, schema, tables, the guide of all keys. Read the diff
#
# dist and deb write to out/dist, where SHA256SUMS names all that is there of this version. The same commit and the same
# Go make the same bytes on any machine: nothing of the builder's folders, clock, user or settings gets into them. They
# need Go, git, gzip and sha256sum, no Debian.

VERSION := $(shell fixtures/deploy/version)
DIST    := out/dist
NAME    := $(DIST)/einvoice-bridge-$(VERSION)
NFPM    := go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0

# What a builder may have set otherwise.
export CGO_ENABLED := 0
export GOFLAGS     := -mod=readonly -trimpath -buildvcs=false
export GOAMD64     := v1
export GOARM64     := v8.0
export LC_ALL      := C
export SOURCE_DATE_EPOCH := $(shell git log -1 --format=%ct)
GO_BUILD := go build -ldflags '-s -w -X main.version=$(VERSION)'

SUMS := cd $(DIST) && sha256sum LICENCES.txt einvoice-bridge[-_]$(VERSION)* | tee SHA256SUMS

.PHONY: test lint fuzz bench fixtures build dist linux-amd64 linux-arm64 windows-amd64 licences deb deb-amd64 deb-arm64 docs clean
.NOTPARALLEL:

FUZZTIME  ?= 10s
BENCHTIME ?= 1s

test:
	go test ./...

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "not gofmt'd"; exit 1; }
	go vet ./...
	GOOS=windows go vet ./cmd/...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

fuzz:
	@grep -rlE --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u | while read -r dir; do \
	  grep -hoE '^func Fuzz\w+' $$dir/*_test.go | cut -c6- | while read -r target; do \
	    echo "== $$dir $$target"; go test $$dir -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) </dev/null || exit; \
	  done || exit; \
	done

# Times are for people to read; allocations are judged.
bench:
	go test -run '^$$' -bench . -skip 'List|Pages|Taxpayers|Ways' -benchtime $(BENCHTIME) ./bridge/... ./cmd/einvoice-bridge | \
	  awk '{ print } \
	       /budget-allocs/ { n++; for (i = 4; i <= NF; i += 2) v[$$i] = $$(i - 1); \
	         if (v["allocs/op"] > v["budget-allocs/op"]) { print "over its budget: " $$1; bad = 1 } } \
	       END { exit bad || n < 16 }'

# Twice: some are made of others. Tests that write what they compare with are called TestGolden… or TestMade….
fixtures:
	@packages=$$(grep -rlE --include='*_test.go' '\*update' . | xargs -n1 dirname | sort -u); \
	for dir in $$packages; do go test $$dir -run '^Test(Golden|Made)' -update >/dev/null; done; \
	for dir in $$packages; do go test $$dir -run '^Test(Golden|Made)' || exit; done
	git status --short

build:
	$(GO_BUILD) -o bin/ ./cmd/einvoice-bridge

dist: linux-amd64 linux-arm64 windows-amd64 licences
	$(SUMS)

linux-amd64 linux-arm64: linux-%:
	GOOS=linux GOARCH=$* $(GO_BUILD) -o $(NAME)-linux-$* ./cmd/einvoice-bridge

windows-amd64:
	GOOS=windows GOARCH=amd64 $(GO_BUILD) -o $(NAME)-windows-amd64.exe ./cmd/einvoice-bridge

licences:
	mkdir -p $(DIST)
	fixtures/deploy/licences > $(DIST)/LICENCES.txt

deb: deb-amd64 deb-arm64
	$(SUMS)

deb-amd64 deb-arm64: deb-%: linux-% docs
	cp $(NAME)-linux-$* out/deb/einvoice-bridge
	ARCH=$* VERSION='$(VERSION)' $(NFPM) package -f fixtures/deploy/debian/nfpm.yaml -p deb -t $(DIST)/

# What a package holds beside the program.
docs: build licences
	rm -rf out/deb && mkdir -p out/deb
	for shell in bash zsh fish; do bin/einvoice-bridge completion $$shell > out/deb/completion.$$shell || exit; done
	gzip -9n < fixtures/deploy/debian/einvoice-bridge.1 > out/deb/einvoice-bridge.1.gz
	fixtures/deploy/debian/changelog '$(VERSION)' | gzip -9n > out/deb/changelog.gz
	gzip -9n < $(DIST)/LICENCES.txt > out/deb/LICENCES.gz

clean:
	rm -rf bin out

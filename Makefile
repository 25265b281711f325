# The two commands: `make run` and `make test`. `make help` lists the rest.

BIN      := bin/toastmaster
PREFIX   ?= /usr/local
DESTDIR  ?=
FUZZTIME ?= 4s
START    := $(shell date +%s)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
# The version is the tag, with the commits since; without git, what the toolchain knows.
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS  = $(if $(VERSION),-X main.release=$(VERSION))
export CGO_ENABLED = 0

.PHONY: help run build test check peers unit e2e fuzz bench docs docs-check install clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## Build and serve a demo instance below ./var on 127.0.0.1 (PORT_BASE=N for other ports)
	@$(BIN) demo var $(if $(PORT_BASE),--port-base $(PORT_BASE))

build: ## Build bin/toastmaster
	@mkdir -p bin
	go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/toastmaster

test: peers unit fuzz docs-check ## Run the whole test suite, with real peers and clients (30 minutes on two processors)
	@echo "make test: all passed in $$(( ($$(date +%s) - $(START)) / 60 )) min $$(( ($$(date +%s) - $(START)) % 60 )) s"

check: ## gofmt, vet and staticcheck
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo 'gofmt: the files above are not formatted'; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

peers: ## Install what the tests need of real peers, or say what is missing
	@./.ci/peers

unit:
	@./.ci/unit

fuzz: ## Fuzz every target for FUZZTIME from the kept corpus
	@./.ci/fuzz $(FUZZTIME)

bench: build ## Side by side with Postfix and Dovecot; prints a table
	go run ./bench $(BENCHFLAGS)

docs: build ## Generate docs/parameters.md, the end of docs/postfix-differences.md and the sample configurations
	$(BIN) config manual > docs/parameters.md
	$(BIN) config sample > configs/samples/toastmaster.toml
	sed -i '/^<!-- make docs -->$$/q' docs/postfix-differences.md && $(BIN) config postfix >> docs/postfix-differences.md

docs-check: build
	@$(BIN) config manual | diff -u docs/parameters.md - || { echo 'docs/parameters.md is stale: make docs'; exit 1; }
	@$(BIN) config sample | diff -u configs/samples/toastmaster.toml - || { echo 'configs/samples is stale: make docs'; exit 1; }
	@{ sed '/^<!-- make docs -->$$/q' docs/postfix-differences.md && $(BIN) config postfix; } | diff -u docs/postfix-differences.md - || { echo 'docs/postfix-differences.md is stale: make docs'; exit 1; }

install: build ## Install below PREFIX, with the links sendmail, mailq, newaliases, postmap, postqueue, postsuper, postcat, qshape and the manual pages
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin
	install -m 0755 $(BIN) $(DESTDIR)$(PREFIX)/bin/toastmaster
	ln -sf ../bin/toastmaster $(DESTDIR)$(PREFIX)/sbin/sendmail
	ln -sf toastmaster $(DESTDIR)$(PREFIX)/bin/mailq
	ln -sf toastmaster $(DESTDIR)$(PREFIX)/bin/newaliases
	ln -sf ../bin/toastmaster $(DESTDIR)$(PREFIX)/sbin/postmap
	for name in postqueue postsuper postcat qshape; do ln -sf ../bin/toastmaster $(DESTDIR)$(PREFIX)/sbin/$$name; done
	$(BIN) man $(DESTDIR)$(PREFIX)/share/man

clean: ## Remove what was built; ./var stays
	rm -rf bin

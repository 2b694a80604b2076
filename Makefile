# `make` lists what there is. Network namespaces need root: run this as root, or have sudo.

TARGET := $(or $(CARGO_TARGET_DIR),target)
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)
# With the features that the tests have, so that nothing is built twice.
BUILD := cargo build --locked --workspace --all-features --bins --examples

.DEFAULT_GOAL := help
.PHONY: help demo dev build test model chaos load bench-host ci fmt lint docs schema graphiql secrets

help: ## This list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## The main job, end to end: a client is let in, connects, is revoked, is refused. ARGS=--kill-worker: even so.
	@$(AS_ROOT) $(TARGET)/debug/examples/demo $(ARGS)

dev: build ## The whole platform on this machine until Ctrl-C; prints URL, GraphiQL, token. ARGS='--data DIR' keeps its data.
	@$(AS_ROOT) $(TARGET)/debug/vpn-graphql dev $(ARGS)

build:
	@.ci/packages build demo
	@echo '# building; the first time takes some minutes'
	@$(BUILD)

test: ## All tests. ARGS='-p vpn-core lock': only those, as `cargo test` takes it.
	@.ci/test $(ARGS)

model: ## The protocol's model, within wider bounds than the tests' (minutes). ARGS='trace flock': what breaks without flock.
	@cargo run --release --locked --package vpn-model -- $(or $(ARGS),deep)

chaos: ## Kill, freeze and cut at random, then check everything. SECONDS=60 SEED=1 DATABASE=postgres (or sqlite).
	@.ci/packages build test
	@cargo build --locked --workspace --all-features --bins
	@$(AS_ROOT) $(TARGET)/debug/chaos --seconds $(or $(SECONDS),60) --seed $(or $(SEED),1) --database $(or $(DATABASE),postgres)

bench-host: ## What the host's scripts cost beside easy-rsa. ARGS='10 1000': sizes; ARGS=platform: issues a second through everything.
	@.ci/packages build test bench
	@cargo build --locked --package vpn-tests --all-features --example bench-host $(if $(filter platform,$(ARGS)),--release)
	@$(AS_ROOT) $(TARGET)/$(if $(filter platform,$(ARGS)),release,debug)/examples/bench-host $(ARGS)

load: ## 10,000 clients, 200 mutations a second for a minute, 1,000 subscribers, workers restarting. Sizes: tests/load/README.md.
	@.ci/packages build test
	@cargo build --release --locked -p vpn-graphql -p vpn-core -p vpn-tests --features vpn-core/worker --bins
	@$(AS_ROOT) $(if $(AS_ROOT),-E) $(TARGET)/release/load

ci: ## Everything that has to hold before a change is taken.
	@.ci/run

fmt: ## Format the Rust code.
	@cargo fmt --all

lint: ## The checks that take no tests: format, shellcheck, rooms, clippy.
	@.ci/packages build ci
	@.ci/run fmt shell rooms clippy

docs: ## The library's documentation, in target/doc/vpn_core.
	@cargo doc --locked --workspace --all-features --no-deps

schema: ## Write vpn-graphql/schema.graphql again, after a change of the API.
	@mkdir -p $(TARGET)
	@cargo run --quiet --locked --package vpn-graphql -- schema >$(TARGET)/schema.graphql.new
	@mv $(TARGET)/schema.graphql.new vpn-graphql/schema.graphql

graphiql: ## Build the GraphiQL page again, after a change in vpn-graphql/graphiql; needs Node.js 20.11 and npm.
	@cd vpn-graphql/graphiql && npm run build

secrets: ## Make the secrets of docker-compose.yml that are missing; prints the public key for the VPN hosts.
	@.ci/secrets

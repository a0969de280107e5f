# Everything that people and CI run. `make help` lists it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# rustup's own place, for who has just installed it and has not logged in anew.
export PATH := $(PATH):$(HOME)/.cargo/bin

CARGO := cargo
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := .cache/tools/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
CARTWHEEL := $(CARGO) run --locked --quiet --package cartwheel-cli --bin cartwheel --

.PHONY: help
help: ## What can be made
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Try

.PHONY: demo
demo: setup-build ## Play three weeks of a recorded shop in fast-forward; every message, and why others were held back
	$(CARGO) build --locked --package cartwheel-cli
	@$(CARTWHEEL) demo

.PHONY: dev
dev: setup-build ## The four services in one process, without Kafka or Redis, until you stop it
	$(CARGO) build --locked --package cartwheel-cli
	@$(CARTWHEEL) dev

##@ Build

.PHONY: setup
setup: ## Install what building and testing need and this machine lacks (Debian; root or sudo)
	@scripts/setup.sh lint

.PHONY: setup-build
setup-build:
	@scripts/setup.sh build

.PHONY: setup-lint
setup-lint:
	@scripts/setup.sh lint

.PHONY: fmt
fmt: ## Format the code
	$(CARGO) fmt --all

##@ Measure

.PHONY: bench
bench: setup-test ## Engine, evaluator beside a bare loop, latency of an order confirmation; a release build, minutes
	@tests/harness/fetch-kafka.sh
	$(CARGO) run --release --locked --quiet --package cartwheel-engine --example engine_speed
	$(CARGO) bench --locked --quiet --package cartwheel-tests --bench services

##@ Check

.PHONY: test
test: setup-test ## All tests, those on real Kafka and Redis included
	@scripts/test.sh

.PHONY: sim
sim: setup-build ## The simulation: SEEDS= how many runs, SEED= the first one; a failing one prints itself
	SEED=$(SEED) SEEDS=$(or $(SEEDS),100) $(CARGO) test -p cartwheel-sim --test simulation -- --nocapture

# Without what the tests on real servers need, the other tests still run, except in CI.
.PHONY: setup-test
setup-test:
	@scripts/setup.sh test || { code=$$?; [ "$$code" = 2 ] && [ -z "$${CI:-}" ] || exit "$$code"; }

.PHONY: fmt-check
fmt-check:
	$(CARGO) fmt --all --check

.PHONY: clippy
clippy: setup-build ## Lints of the code, warnings are errors
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

.PHONY: docs
docs: setup-build ## The code's documentation, broken links are errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet

.PHONY: deny
deny: $(CARGO_DENY) ## Licences and sources of dependencies
	$(CARGO_DENY) --locked check bans licenses sources

$(CARGO_DENY):
	@scripts/setup.sh build
	$(CARGO) install --quiet --locked --debug --root .cache/tools/cargo-deny-$(CARGO_DENY_VERSION) --version $(CARGO_DENY_VERSION) cargo-deny

.PHONY: docs-check
docs-check: ## Links, commands, places and tests that documents name
	@python3 scripts/check-docs.py

.PHONY: contract
contract: setup-lint ## proto/asyncapi.yaml with AsyncAPI's own parser
	@proto/validate.sh

.PHONY: deploy-lint
deploy-lint: setup-lint ## Dockerfile, compose file and chart with hadolint, helm and Kubernetes' schemas
	@deploy/lint.sh

.PHONY: shell-check
shell-check: setup-lint ## Shell scripts with shellcheck
	@git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck

.PHONY: lint
lint: fmt-check shell-check docs-check deploy-lint contract deny clippy ## Format and all lints

.PHONY: ci
ci: lint docs test ## All that CI runs

# Every target first installs what is missing (scripts/setup.sh), so a fresh clone needs only Rust and Debian's package manager.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
export PATH := $(CURDIR)/.venv/bin:$(PATH)
MAKEFLAGS += --no-print-directory

.PHONY: help setup demo test bench lint docs release wheel

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup: ## Install what building and testing need and this machine lacks
	@scripts/setup.sh

demo: setup ## Show the whole loop on real flights; UP=1 leaves the server running
	@scripts/demo.sh $(if $(UP),--up)

test: setup ## Run every test, on SQLite and on PostgreSQL
	@scripts/test.sh

bench: release ## Compare with peers in one run; NAME=... picks one comparison
	@cargo build --release -p lw-pipelines --example dag_bench
	@cargo build --release -p lw-engine --example pit_bench
	@cargo build --release -p lw-data --example check_bench
	@cargo build --release -p lw-tracking --example log_bench
	@python3 bench/run.py $(NAME)

lint: setup ## Check format, spelling, clippy and the house's own rules
	@scripts/lint.sh

docs: setup ## Build the documentation of the crates into target/doc
	@cargo doc --workspace --no-deps

release: setup ## Build the optimised binary
	@cargo build --release --bin loopwright

wheel: setup ## Build the Python wheel, with the optimised binary and the client, into target/wheels
	@cd python && maturin build --release --strip --locked --out ../target/wheels
	@# Bundling OpenMP's runtime has changed Cargo's binary in its place; the next build makes it again.
	@cargo clean --quiet --release -p loopwright

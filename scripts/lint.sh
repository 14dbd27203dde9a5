#!/usr/bin/env bash
# Format, clippy, spelling, licences and the house's own checks. Prints what is wrong and exits with 1 at the first failure.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

say "Format"
cargo fmt --all --check
say "Spelling"
typos
say "House checks"
cargo test --quiet -p tidy
say "Clippy"
cargo clippy --workspace --all-targets -- -D warnings
if cargo deny --version >/dev/null 2>&1; then
    say "Licences and advisories"
    cargo deny check licenses bans sources
fi

#!/usr/bin/env bash
# Builds the binary and shows the whole loop on the flights of 2013. Arguments go to `loopwright demo`.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

say "Building (a fresh clone takes minutes; later runs take seconds)"
cargo build --bin loopwright
exec "${CARGO_TARGET_DIR:-target}/debug/loopwright" demo "$@"

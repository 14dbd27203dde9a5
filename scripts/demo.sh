#!/usr/bin/env bash
# Builds the binary and shows the whole loop on the flights of 2013, in a fresh workspace under target/demo.
#
#   scripts/demo.sh [--up]      --up leaves the server running at the end
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

say "Building (a fresh clone takes minutes; later runs take seconds)"
target=${CARGO_TARGET_DIR:-target}
# Where nobody has built for development yet, the records for incremental builds would only cost minutes.
[ -d "$target/debug/incremental" ] || export CARGO_INCREMENTAL=0
cargo build --bin loopwright
loopwright="$target/debug/loopwright"
folder=target/demo
rm -rf "$folder"
mkdir -p "$folder"
export LOOPWRIGHT_PROJECT=examples/flights LOOPWRIGHT_WORKSPACE=$folder/workspace

"$loopwright" replay --report "$folder/report"
if [ "${1:-}" = --up ]; then
    exec "$loopwright" up
fi

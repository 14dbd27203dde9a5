#!/usr/bin/env bash
# Writes FOLDER/requirements.lock, every package with its hashes, from the pins of FOLDER/requirements.txt.
#
#   scripts/lock-python.sh [tests|bench]      tests if not said
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-tests}

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools"
"$tools/bin/python" -m pip install --quiet --disable-pip-version-check pip-tools==7.6.2
CUSTOM_COMPILE_COMMAND="scripts/lock-python.sh $folder" "$tools/bin/pip-compile" --quiet --generate-hashes --allow-unsafe --strip-extras \
    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
    --output-file "$folder/requirements.lock" "$folder/requirements.txt"

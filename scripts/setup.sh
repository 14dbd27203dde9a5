#!/usr/bin/env bash
# Installs what building and testing need and this machine lacks: Debian packages, and a Python environment in .venv.
# Idempotent: a machine that has everything is done in a moment. Runs as root, or as a user with sudo.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

has() { command -v "$1" >/dev/null 2>&1; }
has_file() { compgen -G "$1" >/dev/null; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif has sudo; then
        sudo "$@"
    else
        echo "setup: needs root to run: $*" >&2
        echo "hint: run it as root, or install sudo" >&2
        exit 1
    fi
}

install_packages() {
    local packages=()
    has cc && has c++ || packages+=(build-essential)
    has clang || packages+=(clang)
    has_file '/usr/lib/llvm-*/lib/libclang.so*' || has_file '/usr/lib/llvm-*/lib/libclang-[0-9]*.so*' || packages+=(libclang-dev)
    has pkg-config || packages+=(pkg-config)
    has git || packages+=(git)
    has_file '/usr/lib/postgresql/*/bin/initdb' || has initdb || packages+=(postgresql)
    has python3 && python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3 python3-venv)
    [ ${#packages[@]} = 0 ] && return

    if ! has apt-get; then
        echo "setup: missing, and there is no apt-get to install them: ${packages[*]}" >&2
        echo "hint: install these Debian packages' equivalents and run it again" >&2
        exit 1
    fi
    say "Installing ${packages[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
}

check_rust() {
    has cargo && return
    echo "setup: there is no Rust toolchain" >&2
    echo "hint: install Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or newer with rustup" >&2
    exit 1
}

install_python() {
    local lock=tests/requirements.lock stamp=.venv/.requirements.sha256 wanted
    wanted=$(sha256sum "$lock" tests/mlflow.txt)
    [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return

    say "Installing Python packages into .venv"
    [ -x .venv/bin/python ] || python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r "$lock"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --no-deps -r tests/mlflow.txt
    printf '%s\n' "$wanted" >"$stamp"
}

install_packages
check_rust
install_python

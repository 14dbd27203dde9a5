#!/usr/bin/env bash
# Runs every test: Rust on SQLite and PostgreSQL, on files and S3, the examples of the documentation, and the whole product from Python.
# Goes on after a failure and ends with one line of totals; exits with 1 if anything failed.
#
#   scripts/test.sh                  everything
#   scripts/test.sh -p lw-store      the Rust tests of one crate: arguments go to Cargo
set -uo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh

logs=$(mktemp -d)
finish() {
    scripts/postgres-test.sh stop >/dev/null 2>&1
    scripts/s3-test.sh stop >/dev/null 2>&1
    rm -rf "$logs"
}
trap finish EXIT

scope=("$@")
[ $# = 0 ] && scope=(--workspace)
n_broken=0
run() { # run NAME COMMAND...: a runner that fails without a failed test counts as one failure
    local name=$1 status
    shift
    say "$name"
    "$@" 2>&1 | tee "$logs/$name.log"
    status=${PIPESTATUS[0]}
    if [ "$status" != 0 ] && [ "$(count failed "$logs/$name.log")" = 0 ]; then
        echo "$name ended with status $status" >&2
        n_broken=$((n_broken + 1))
    fi
}

summaries() { # the closing lines of nextest, cargo test and pytest
    grep -hE '^ *Summary \[|^test result: |^=+ .*(passed|failed|skipped|error).* in .*=+$' "$@"
}

count() { # count WORD FILE...: the sum of "N WORD" over the closing lines
    local word=$1
    shift
    summaries "$@" | grep -oE "[0-9]+ ($word)" | awk '{ sum += $1 } END { print sum + 0 }'
}

# Ports of their own, so that two runs of the tests do not meet.
free_port() { python3 -c "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])"; }
PGPORT=$(free_port) S3PORT=$(free_port)
export PGPORT S3PORT
LOOPWRIGHT_TEST_POSTGRES=$(scripts/postgres-test.sh start) || { echo "the test database did not start" >&2; exit 1; }
export LOOPWRIGHT_TEST_POSTGRES
s3=$(scripts/s3-test.sh start) || { echo "the test's object store did not start" >&2; exit 1; }
eval "$s3"

if cargo nextest --version >/dev/null 2>&1; then
    run rust cargo nextest run "${scope[@]}" --no-fail-fast --status-level fail --final-status-level fail
else
    run rust cargo test "${scope[@]}" --lib --bins --tests --no-fail-fast
fi
run documentation cargo test "${scope[@]}" --doc --no-fail-fast

if [ $# = 0 ] && compgen -G 'tests/python/test_*.py' >/dev/null; then
    run build cargo build --bin loopwright
    run python python -m pytest -ra --color=no --no-header tests/python
fi

n_passed=$(count passed "$logs"/*.log)
n_failed=$(($(count 'failed|timed out|errors?' "$logs"/*.log) + n_broken))
n_skipped=$(count 'skipped|ignored' "$logs"/*.log)
echo
echo "total: $n_passed passed, $n_failed failed, $n_skipped skipped"
[ "$n_failed" = 0 ] && [ "$n_passed" -gt 0 ]

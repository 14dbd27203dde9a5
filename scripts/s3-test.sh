#!/usr/bin/env bash
# Starts or stops a throw-away S3 server (moto, from tests/requirements.txt) and prints the environment of the tests.
#
#   eval "$(scripts/s3-test.sh start)"
#   scripts/s3-test.sh stop
#
# S3PORT chooses the port (default 54330), MOTO_SERVER the program. With S3S_FS the program of that name serves instead: s3s-fs, which
# keeps objects in a directory and checks signatures (`cargo install s3s-fs --features binary`).
set -euo pipefail

port=${S3PORT:-54330}
directory=${TMPDIR:-/tmp}/loopwright-s3-$port
program=${MOTO_SERVER:-$(dirname "$0")/../.venv/bin/moto_server}

case ${1:-} in
start)
    mkdir -p "$directory"
    if [ -n "${S3S_FS:-}" ]; then
        mkdir -p "$directory/objects/loopwright-test"
        set -- "$S3S_FS" --access-key test --secret-key test "$directory/objects"
        is_up=(curl --silent --output /dev/null "http://127.0.0.1:$port/")
    else
        set -- "$program"
        is_up=(curl --silent --fail --output /dev/null --request PUT "http://127.0.0.1:$port/loopwright-test")
    fi
    nohup "$@" --host 127.0.0.1 --port "$port" >"$directory/server.log" 2>&1 &
    echo $! >"$directory/pid"
    for _ in $(seq 100); do
        if "${is_up[@]}"; then
            echo "export AWS_ENDPOINT=http://127.0.0.1:$port AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test"
            echo "export LOOPWRIGHT_TEST_S3=s3://loopwright-test/artifacts"
            exit
        fi
        sleep 0.2
    done
    echo "s3-test.sh: the server did not start; see $directory/server.log" >&2
    exit 3
    ;;
stop)
    kill "$(cat "$directory/pid")"
    rm -rf "$directory"
    ;;
*)
    echo "usage: s3-test.sh start|stop" >&2
    exit 2
    ;;
esac

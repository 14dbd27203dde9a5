#!/usr/bin/env bash
# A throw-away PostgreSQL for the tests, on loopback, with durability off.
#
#   scripts/postgres-test.sh start    starts it if it does not run, and prints its URL
#   scripts/postgres-test.sh stop     stops it and removes its files
set -euo pipefail

folder="${TMPDIR:-/tmp}/loopwright-postgres-$(id -u)"
owner=$(id -un)
[ "$(id -u)" = 0 ] && owner=postgres # PostgreSQL refuses to run as root

tools=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
[ -n "$tools" ] || tools=$(dirname "$(command -v initdb)")

as_owner() {
    if [ "$owner" = "$(id -un)" ]; then
        "$@"
    else
        (cd / && runuser -u "$owner" -- "$@")
    fi
}

is_running() { as_owner "$tools/pg_ctl" -D "$folder/data" status >/dev/null 2>&1; }

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

print_url() { echo "postgres://loopwright@127.0.0.1:$(cat "$folder/port")/postgres"; }

start() {
    if is_running; then
        print_url
        return
    fi
    rm -rf "$folder"
    mkdir -m 700 "$folder"
    free_port >"$folder/port"
    chown -R "$owner" "$folder"
    as_owner "$tools/initdb" -D "$folder/data" -U loopwright --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$folder/initdb.log"
    as_owner "$tools/pg_ctl" -D "$folder/data" -l "$folder/server.log" -w -t 60 start \
        -o "-c listen_addresses=127.0.0.1 -c port=$(cat "$folder/port") -c unix_socket_directories='' -c fsync=off \
            -c synchronous_commit=off -c full_page_writes=off -c max_connections=300" >"$folder/start.log" || {
        cat "$folder/start.log" "$folder/server.log" >&2
        return 1
    }
    print_url
}

stop() {
    if is_running; then
        as_owner "$tools/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null
    fi
    rm -rf "$folder"
}

case "${1:-}" in
    start) start ;;
    stop) stop ;;
    *) sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

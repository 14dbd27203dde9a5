#!/usr/bin/env bash
# Starts or stops a throw-away PostgreSQL for the tests and prints its address.
#
#   export LOOPWRIGHT_TEST_POSTGRES=$(scripts/postgres-test.sh start)
#   scripts/postgres-test.sh stop
#
# It does not wait for the disk (fsync=off), which no test needs and every test would feel; benchmarks set LOOPWRIGHT_POSTGRES_FSYNC=on.
# PGPORT chooses the port (default 54329), LOOPWRIGHT_POSTGRES_DIR where the cluster lives.
set -euo pipefail

port=${PGPORT:-54329}
directory=${LOOPWRIGHT_POSTGRES_DIR:-${TMPDIR:-/tmp}/loopwright-postgres-$port}

programs() {
    local candidate
    for candidate in "${PG_BIN:-}" $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) "$(dirname "$(command -v postgres || echo /none/x)")"; do
        if [[ -x $candidate/initdb && -x $candidate/pg_ctl ]]; then
            echo "$candidate"
            return
        fi
    done
    echo "postgres-test.sh: no PostgreSQL server programs found; install postgresql or set PG_BIN" >&2
    exit 3
}

# PostgreSQL refuses to run as root.
as_server() {
    if [[ $(id -u) == 0 ]]; then
        setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups -- env HOME="$directory" PATH="$PATH" "$@"
    else
        "$@"
    fi
}

bin=$(programs)
user=nobody
if id postgres >/dev/null 2>&1; then user=postgres; fi

# A throw-away authority and a certificate of it for localhost, so that the tests meet TLS. Without openssl they do without.
ssl=""
certify() {
    command -v openssl >/dev/null || return 0
    local new=(openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -batch)
    "${new[@]}" -x509 -days 30 -subj /CN=loopwright-test -keyout ca.key -out ca.pem 2>/dev/null
    "${new[@]}" -subj /CN=localhost -keyout server.key -out server.csr 2>/dev/null
    openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -out server.pem \
        -extfile <(printf 'subjectAltName=DNS:localhost') 2>/dev/null
    chmod 600 server.key
    if [[ $(id -u) == 0 ]]; then chown "$user" server.key; fi
    ssl="-c ssl=on -c ssl_cert_file=$directory/server.pem -c ssl_key_file=$directory/server.key -c ssl_ca_file=$directory/ca.pem"
}

case ${1:-} in
start)
    if ! as_server "$bin/pg_ctl" --pgdata="$directory/data" status >/dev/null 2>&1; then
        rm -rf "$directory"
        mkdir -p "$directory"
        chmod 755 "$directory"
        if [[ $(id -u) == 0 ]]; then chown "$user" "$directory"; fi
        cd "$directory"
        as_server "$bin/initdb" --pgdata="$directory/data" --username=loopwright --auth=trust --encoding=UTF8 --locale=C >"$directory/initdb.log" 2>&1
        certify
        as_server "$bin/pg_ctl" --pgdata="$directory/data" --log="$directory/server.log" --wait \
            --options="-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$directory -c max_connections=400 -c fsync=${LOOPWRIGHT_POSTGRES_FSYNC:-off} $ssl" start >/dev/null
    fi
    echo "postgres://loopwright@127.0.0.1:$port/postgres"
    ;;
stop)
    cd /
    as_server "$bin/pg_ctl" --pgdata="$directory/data" --mode=immediate stop >/dev/null
    rm -rf "$directory"
    ;;
*)
    echo "usage: postgres-test.sh start|stop" >&2
    exit 2
    ;;
esac

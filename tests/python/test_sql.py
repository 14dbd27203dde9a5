"""SQL for people: `loopwright sql`, the HTTP API and Arrow Flight SQL, compared with DuckDB and Polars over the same Delta tables."""

import base64
import csv
import io
import json
import re
import threading
import time
from pathlib import Path

import adbc_driver_manager
import duckdb
import polars
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
from adbc_driver_flightsql import DatabaseOptions, StatementOptions
from adbc_driver_flightsql import dbapi as flight
from conftest import Project, Server, wait_until
from deltalake import DeltaTable

TOTALS = "SELECT customer_id, count(*) AS n, sum(amount) AS total FROM orders GROUP BY customer_id ORDER BY customer_id"
# Joins that would take hours, and that give no row before they are done.
ENDLESS = "SELECT sum(a.amount * b.amount - c.amount) AS s FROM orders AS a, orders AS b, orders AS c"
# Some 42 million rows, made as they are read.
MANY = "SELECT a.customer_id, a.ordered_at, a.amount, b.amount AS other FROM orders AS a, orders AS b"


def delta(project: Project, table: str, version: int | None = None) -> pa.Table:
    """A table as another reader of Delta Lake finds it."""
    return pa.table(DeltaTable(project.root / ".loopwright" / "tables" / table, version=version).to_pyarrow_table())


def oracle(project: Project) -> list[tuple]:
    orders = delta(project, "data/orders")
    return duckdb.sql(TOTALS).fetchall()


@pytest.fixture
def serving(trained):
    """A server with Arrow Flight SQL, and where that is."""
    running = Server(trained, "--flight", "127.0.0.1:0")
    running.flight = running.process.stdout.readline().strip().rsplit(" ", 1)[-1]
    assert running.flight.startswith("grpc://127.0.0.1:")
    yield running
    if running.process.poll() is None:
        running.kill()


def connect(server: Server, token: str | None = None, **options: str):
    bearer = f"Bearer {token or server.token()}"
    return flight.connect(server.flight, {DatabaseOptions.AUTHORIZATION_HEADER.value: bearer, **options}, autocommit=True)


def counters(server: Server) -> dict[str, int]:
    """What the process holds now, and held at most, in bytes."""
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return {name: int(size) << 10 for name, size in re.findall(r"(VmRSS|VmHWM):\s+(\d+) kB", text)}


def processor_seconds(server: Server) -> float:
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def is_idle(server: Server) -> bool:
    """Whether the process does next to nothing for a while."""
    before = processor_seconds(server)
    time.sleep(0.5)
    return processor_seconds(server) - before < 0.15


# The command line


@pytest.mark.parametrize("through", ["workspace", "server"])
def test_every_format_has_the_same_rows(trained, tmp_path, request, through):
    want = oracle(trained)
    if through == "server":
        running = Server(trained)
        request.addfinalizer(running.kill)
    read = {
        "csv": lambda text: [(row["customer_id"], int(row["n"]), float(row["total"])) for row in csv.DictReader(io.StringIO(text.decode()))],
        "json": lambda text: [tuple(row.values()) for row in json.loads(text)],
        "jsonl": lambda text: [tuple(json.loads(line).values()) for line in text.splitlines()],
        "arrow": lambda text: rows(pa.ipc.open_stream(text).read_all()),
        "parquet": lambda text: rows(pa.parquet.read_table(io.BytesIO(text))),
    }
    for form, rows_of in read.items():
        file = tmp_path / f"rows.{form}"
        trained.run("sql", TOTALS, "--output", str(file))
        same(rows_of(file.read_bytes()), want)
        assert not file.with_name(f"{file.name}.partial").exists()
    same(read["csv"](trained.run("sql", TOTALS, "--format", "csv").stdout.encode()), want)
    same(read["json"](trained.run("sql", TOTALS, "--json").stdout.encode()), want)
    shown = trained.run("sql", TOTALS).stdout.splitlines()
    assert shown[0].split() == ["customer_id", "n", "total"] and len(shown) == len(want) + 1


def rows(table: pa.Table) -> list[tuple]:
    return [tuple(row.values()) for row in table.to_pylist()]


def same(found: list[tuple], want: list[tuple]) -> None:
    assert len(found) == len(want) > 0
    for ours, theirs in zip(found, want):
        assert ours[:2] == theirs[:2] and ours[2] == pytest.approx(theirs[2])


def test_statements_come_from_files_and_standard_input(trained, tmp_path):
    statement = tmp_path / "totals.sql"
    statement.write_text("SELECT count(*) AS n\nFROM orders -- all of them")
    assert trained.json("sql", "--file", str(statement)) == [{"n": delta(trained, "data/orders").num_rows}]
    asked = ["sql", "SELECT count(*) AS n FROM orders WHERE amount > ? AND customer_id = ?", "--param", "10", "--param", "c47"]
    done = trained.run(*asked[:-2], check=False)
    assert done.returncode == 2 and "sql-parameters" in done.stderr, "a value is missing"
    orders = polars.from_arrow(delta(trained, "data/orders"))
    want = orders.filter((polars.col("amount") > 10) & (polars.col("customer_id") == "c47")).height
    assert trained.json(*asked) == [{"n": want}] and want > 0


def test_older_versions_and_what_there_is(trained):
    (trained.root / "data" / "orders_more.csv").write_text("customer_id,ordered_at,amount\nc1,2024-01-01T00:00:00Z,1.5\n")
    trained.run("ingest", "orders")
    newest = DeltaTable(trained.root / ".loopwright" / "tables" / "data" / "orders").version()
    assert newest > 0
    for version in range(newest + 1):
        found = trained.json("sql", f"SELECT count(*) AS n, sum(amount) AS total FROM orders@{version}")[0]
        table = delta(trained, "data/orders", version)
        assert found["n"] == table.num_rows and found["total"] == pytest.approx(sum(table["amount"].to_pylist()))
    names = {(row["table_schema"], row["table_name"]) for row in trained.json("sql", "SELECT * FROM information_schema.tables")}
    folders = trained.root.glob(".loopwright/tables/*/*/_delta_log")
    assert names == {(folder.parent.parent.name, folder.parent.name) for folder in folders}
    assert ("data", "orders") in names and ("training_set", "churn") in names
    columns = trained.json("sql", "SELECT column_name FROM information_schema.columns WHERE table_schema = 'data' AND table_name = 'orders'")
    assert [row["column_name"] for row in columns] == delta(trained, "data/orders").schema.names
    assert trained.json("sql", "SELECT count(*) AS n FROM training_set.churn@1")[0]["n"] > 0


def test_an_answer_of_an_endpoint_can_be_read_at_once(serving):
    before = serving.project.json("sql", "SELECT 1 AS one")
    assert before == [{"one": 1}]
    status, _, _ = serving.call("POST", "/api/v1/endpoints/churn/predict", {"customer_id": "c1", "plan": "free"})
    assert status == 200
    assert serving.project.json("sql", "SELECT count(*) AS n FROM prediction.churn") == [{"n": 1}]


def test_wrong_sql_says_where_and_what_to_do(trained):
    for statement, code, hint in [
        ("SELECT * FROM ordes", "unknown-table", "`orders`"),
        ("SELECT amuont FROM orders", "unknown-column", "`amount`"),
        ("SELECT 1 +", "bad-sql", ""),
        ("DELETE FROM orders", "sql-not-allowed", "SELECT"),
        ("INSERT INTO orders VALUES ('c1', NULL, 1)", "sql-not-allowed", "SELECT"),
        ("SELECT now()", "sql-not-allowed", "column"),
        ("SELECT CAST('x' AS INT) FROM orders", "query-failed", "TRY_CAST"),
    ]:
        done = trained.run("sql", statement, check=False)
        assert done.returncode == 2 and code in done.stderr and hint in done.stderr, (statement, done.stderr)
    done = trained.run("sql", ENDLESS, "--timeout", "1s", check=False)
    assert done.returncode == 3 and "query-timeout" in done.stderr and "hint" in done.stderr


def test_a_query_that_fails_late_leaves_no_file(trained, tmp_path):
    late = "SELECT CAST(CASE WHEN row_number() OVER () > 6000000 THEN 'odd' ELSE '1' END AS INT) AS y FROM orders AS a, orders AS b"
    file = tmp_path / "rows.csv"
    done = trained.run("sql", late, "--output", str(file), check=False)
    assert done.returncode == 3 and "rows-broke-off" in done.stderr
    assert not list(tmp_path.glob("rows.csv*"))


# The HTTP API


def test_rows_come_in_the_form_that_is_asked_for(server):
    want = oracle(server.project)

    def ask(accept: str | None, sql: str = TOTALS, **more):
        headers = {"Accept": accept} if accept else {}
        return server.call("POST", "/api/v1/sql", {"sql": sql, **more}, headers=headers)

    status, headers, answer = ask(None)
    assert status == 200 and headers["Content-Type"] == "application/json"
    assert answer["columns"] == [{"name": "customer_id", "type": "Utf8"}, {"name": "n", "type": "Int64"}, {"name": "total", "type": "Float64"}]
    same([tuple(row.values()) for row in answer["items"]], want)
    assert ask("application/json", "SELECT * FROM orders WHERE 1 = 0")[2]["items"] == []
    assert len(ask(None, limit=3)[2]["items"]) == 3
    assert ask(None, "SELECT ? + 1 AS x", parameters=[41])[2]["items"] == [{"x": 42}]
    status, headers, text = ask("text/csv")
    assert status == 200 and text.splitlines()[0] == "customer_id,n,total" and len(text.splitlines()) == len(want) + 1
    status, _, problem = ask("image/png")
    assert status == 400 and "text/csv" in problem["hint"]
    status, _, problem = ask(None, ENDLESS, timeout_ms=300)
    assert status == 504 and problem["code"] == "query-timeout"
    status, _, problem = server.call("POST", "/api/v1/sql", {"sql": "SELECT 1", "colour": "red"})
    assert status == 400 and problem["code"] == "invalid-body"
    assert server.call("POST", "/api/v1/sql", {"sql": "SELECT 1"}, token=False)[0] == 401


# Arrow Flight SQL


def test_a_driver_reads_what_others_read(serving):
    with connect(serving) as connection, connection.cursor() as cursor:
        cursor.execute(TOTALS)
        same(rows(cursor.fetch_arrow_table()), oracle(serving.project))
        cursor.execute("SELECT * FROM orders ORDER BY ordered_at, customer_id")
        ours = polars.from_arrow(cursor.fetch_arrow_table())
        theirs = polars.from_arrow(delta(serving.project, "data/orders")).sort("ordered_at", "customer_id")
        assert ours.columns == theirs.columns and ours.rows() == theirs.rows()
        cursor.execute("SELECT * FROM orders WHERE 1 = 0")
        assert cursor.fetch_arrow_table().num_rows == 0


def test_parameters_are_bound(serving):
    orders = polars.from_arrow(delta(serving.project, "data/orders"))
    with connect(serving) as connection, connection.cursor() as cursor:
        for amount, customer in [(10.0, "c47"), (0.0, "c1"), (1e9, "c1")]:
            cursor.execute("SELECT count(*) FROM orders WHERE amount > ? AND customer_id = ?", (amount, customer))
            want = orders.filter((polars.col("amount") > amount) & (polars.col("customer_id") == customer)).height
            assert cursor.fetchone() == (want,)
        cursor.execute("SELECT CAST($2 AS VARCHAR) || CAST($1 AS VARCHAR) AS t", ("b", "a"))
        assert cursor.fetchone() == ("ab",)


def test_what_there_is_can_be_listed(serving):
    with connect(serving) as connection:
        info = connection.adbc_get_info()
        assert info["vendor_name"] == "Loopwright"
        assert connection.adbc_get_table_types() == ["BASE TABLE"]
        want = delta(serving.project, "data/orders").schema
        assert connection.adbc_get_table_schema("orders", db_schema_filter="data").names == want.names
        catalogs = connection.adbc_get_objects(depth="all").read_all().to_pylist()
        assert [catalog["catalog_name"] for catalog in catalogs] == ["loopwright"]
        found = {
            (schema["db_schema_name"], table["table_name"]): [column["column_name"] for column in table["table_columns"]]
            for schema in catalogs[0]["catalog_db_schemas"]
            for table in schema["db_schema_tables"]
        }
        assert found["data", "orders"] == want.names and ("training_set", "churn") in found
        only = connection.adbc_get_objects(depth="tables", db_schema_filter="dat_", table_name_filter="ord%").read_all().to_pylist()
        tables = [table["table_name"] for schema in only[0]["catalog_db_schemas"] for table in schema["db_schema_tables"] or []]
        assert tables == ["orders"]


def test_only_holders_of_tokens_get_in(serving):
    project = serving.project

    def refused(error: str, connecting):
        with pytest.raises(adbc_driver_manager.Error, match=error), connecting() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    refused("bad-token", lambda: connect(serving, "lw_wrong"))
    refused("token-missing", lambda: flight.connect(serving.flight, autocommit=True))
    project.run("identity", "create", "vi", "--role", "viewer")
    viewer = project.run("token", "create", "vi", "--expires", "1h").stdout.strip()
    project.run("identity", "create", "pia", "--role", "predictor")
    predictor = project.run("token", "create", "pia", "--expires", "1h").stdout.strip()
    refused("role-missing", lambda: connect(serving, predictor))
    by_name = {"username": "vi", "password": viewer}
    for options in ({DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {viewer}"}, by_name):
        with flight.connect(serving.flight, options, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM orders")
            assert cursor.fetchone()[0] > 0
    refused("bad-token", lambda: flight.connect(serving.flight, {"username": "vi", "password": "lw_wrong"}, autocommit=True))
    basic = base64.b64encode(f"vi:{viewer}".encode()).decode()
    with flight.connect(serving.flight, {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Basic {basic}"}, autocommit=True) as connection:
        assert connection.adbc_get_table_types()
    project.run("identity", "disable", "vi")
    refused("bad-token|disabled", lambda: connect(serving, viewer))


def test_nothing_is_changed_by_a_driver(serving):
    before = serving.project.json("sql", "SELECT count(*) AS n FROM orders")
    with connect(serving) as connection, connection.cursor() as cursor:
        for statement in ["DELETE FROM orders", "INSERT INTO orders VALUES ('c1', NULL, 1)", "DROP TABLE orders", "SET x = 1"]:
            with pytest.raises(adbc_driver_manager.Error, match="sql-not-allowed"):
                cursor.execute(statement)
        with pytest.raises(adbc_driver_manager.Error, match="flight-not-offered"):
            cursor.adbc_ingest("copied", pa.table({"a": [1]}), mode="create")
        with pytest.raises(adbc_driver_manager.Error, match="did you mean `orders`"):
            cursor.execute("SELECT * FROM ordes")
        cursor.execute("SELECT count(*) AS n FROM orders")
        assert [{"n": cursor.fetchone()[0]}] == before


def test_the_same_port_speaks_nothing_else(serving):
    done = serving.project.run("--server", serving.flight.replace("grpc", "http"), "status", check=False)
    assert done.returncode != 0


def test_flight_does_not_listen_to_the_world_without_tokens(trained):
    done = trained.run("up", "--listen", "127.0.0.1:0", "--flight", "0.0.0.0:0", "--no-auth", check=False)
    assert done.returncode == 4 and "exposed-without-authentication" in done.stderr


def test_a_query_ends_at_its_deadline(serving):
    key = StatementOptions.TIMEOUT_FETCH.value
    with connect(serving) as connection, connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{key: "1.0"})
        begin = time.monotonic()
        with pytest.raises((adbc_driver_manager.Error, OSError), match="(?i)deadline|query-timeout|timeout"):
            cursor.execute(ENDLESS)
            cursor.fetch_arrow_table()
        assert time.monotonic() - begin < 20
    wait_until(lambda: is_idle(serving), "the end of the work")


def test_a_cancelled_query_stops_on_the_server(serving):
    with connect(serving) as connection, connection.cursor() as cursor:
        canceller = threading.Timer(1.0, cursor.adbc_cancel)
        canceller.start()
        with pytest.raises((adbc_driver_manager.Error, OSError), match="(?i)cancel"):
            cursor.execute(ENDLESS)
            cursor.fetch_arrow_table()
        canceller.join()
        wait_until(lambda: is_idle(serving), "the end of the work")
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_a_client_that_goes_away_stops_its_query(serving):
    def run():
        serving.project.run("sql", ENDLESS, check=False, timeout=2)

    import subprocess

    with pytest.raises(subprocess.TimeoutExpired):
        run()
    wait_until(lambda: is_idle(serving), "the end of the work")


def test_a_large_answer_does_not_fill_the_servers_memory(serving):
    limit = 6_000_000
    with connect(serving) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM orders")
        cursor.fetchall()
        before = counters(serving)["VmRSS"]
        cursor.execute(f"{MANY} LIMIT {limit}")
        n_rows = n_bytes = 0
        for batch in cursor.fetch_record_batch():
            n_rows, n_bytes = n_rows + batch.num_rows, n_bytes + batch.nbytes
        assert n_rows == limit and n_bytes > 100 << 20
    after = counters(serving)["VmHWM"]
    assert after - before < 64 << 20, f"{(after - before) >> 20} MiB for {n_bytes >> 20} MiB"
    file = serving.project.root / "many.arrow"
    serving.project.run("sql", f"{MANY} LIMIT {limit}", "--output", str(file))
    assert file.stat().st_size > 100 << 20
    assert counters(serving)["VmHWM"] - before < 96 << 20


def test_a_slow_reader_is_waited_for_and_not_run_ahead_of(serving):
    with connect(serving) as connection, connection.cursor() as cursor:
        cursor.execute(MANY)
        reader = cursor.fetch_record_batch()
        assert next(iter(reader)).num_rows > 0
        wait_until(lambda: is_idle(serving), "the pause of the work")
    assert counters(serving)["VmHWM"] < 1 << 30

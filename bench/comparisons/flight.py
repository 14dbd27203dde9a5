"""A table of 1 GB through Arrow Flight SQL on loopback, read whole: GB/s as the client sees them.

Ours reads the rows from its Delta table (uncompressed Parquet in the page cache) while it sends them; the peer, pyarrow's Flight server in C++,
has them in memory. Each side is read by its own client, in a process of its own on the same machine: ours by ADBC's driver, which is written in
Go, the peer by pyarrow's. Run as a program, this module is that client, or the peer's server:

    python flight.py data FOLDER | serve PORT | adbc URI TOKEN | pyarrow URI        the clients print {"bytes": …, "seconds": …}
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

N_COLUMNS, N_ROWS, N_BATCH_ROWS = 8, 16 << 20, 64 << 10


def batches():
    """Random numbers, so that nothing is smaller on disk than it is."""
    import numpy
    import pyarrow

    random = numpy.random.default_rng(7)
    names = [f"x{column}" for column in range(N_COLUMNS)]
    for _ in range(N_ROWS // N_BATCH_ROWS):
        yield pyarrow.record_batch([pyarrow.array(random.random(N_BATCH_ROWS)) for _ in names], names=names)


def schema():
    import pyarrow

    return pyarrow.schema([(f"x{column}", pyarrow.float64()) for column in range(N_COLUMNS)])


def write_table(folder: str) -> None:
    import deltalake
    import pyarrow

    reader = pyarrow.RecordBatchReader.from_batches(schema(), batches())
    properties = deltalake.WriterProperties(compression="UNCOMPRESSED", default_column_properties=deltalake.ColumnProperties(dictionary_enabled=False))
    deltalake.write_deltalake(folder, reader, mode="overwrite", writer_properties=properties)


def serve(port: str) -> None:
    import pyarrow.flight

    class Server(pyarrow.flight.FlightServerBase):
        def do_get(self, context, ticket):
            return pyarrow.flight.RecordBatchStream(table)

    table = pyarrow.Table.from_batches(list(batches()), schema())
    Server(f"grpc://127.0.0.1:{port}").serve()


def read_by_adbc(uri: str, token: str) -> tuple[int, float]:
    import adbc_driver_flightsql.dbapi
    from adbc_driver_flightsql import DatabaseOptions

    options = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}"}
    with adbc_driver_flightsql.dbapi.connect(uri, options, autocommit=True) as connection, connection.cursor() as cursor:
        begin = time.perf_counter()
        cursor.execute("SELECT * FROM numbers")
        n_bytes = sum(batch.nbytes for batch in cursor.fetch_record_batch())
        return n_bytes, time.perf_counter() - begin


def read_by_pyarrow(uri: str) -> tuple[int, float]:
    import pyarrow.flight

    client = pyarrow.flight.connect(uri)
    deadline = time.monotonic() + 60
    while True:
        try:
            begin = time.perf_counter()
            n_bytes = sum(chunk.data.nbytes for chunk in client.do_get(pyarrow.flight.Ticket(b"")))
            return n_bytes, time.perf_counter() - begin
        except pyarrow.flight.FlightUnavailableError:
            # The peer makes its rows before it listens.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def main() -> None:
    task, *arguments = sys.argv[1:]
    if task == "data":
        write_table(*arguments)
    elif task == "serve":
        serve(*arguments)
    else:
        n_bytes, seconds = (read_by_adbc if task == "adbc" else read_by_pyarrow)(*arguments)
        json.dump({"bytes": n_bytes, "seconds": seconds}, sys.stdout)


if __name__ == "__main__":
    main()
else:
    from harness import paths
    from harness.comparison import Comparison, Metric
    from harness.process import Server, free_port

    def program(*arguments: str) -> list[str]:
        return [str(paths.PEER_PYTHON), __file__, *arguments]

    class Side:
        """A server that starts once, and a client process for each round."""

        name = ""
        server: Server | None = None

        def client(self) -> list[str]:
            raise NotImplementedError

        def round(self) -> dict[str, float]:
            done = subprocess.run(self.client(), capture_output=True, text=True, timeout=300)
            if done.returncode != 0:
                raise RuntimeError(done.stderr.strip().splitlines()[-1])
            answer = json.loads(done.stdout)
            if answer["bytes"] != N_ROWS * N_COLUMNS * 8:
                raise RuntimeError(f"{answer['bytes']} bytes came")
            return {"transfer": answer["bytes"] / answer["seconds"] / 1e9}

        def close(self) -> None:
            if self.server:
                self.server.stop()

    class Loopwright(Side):
        name = "Loopwright"
        folder = paths.WORK / "flight"

        def prepare(self) -> str:
            binary, workspace = str(paths.ours("loopwright")), self.folder / "workspace"
            table = workspace / "tables" / "data" / "numbers"
            if not (table / "_delta_log").is_dir():
                table.parent.mkdir(parents=True, exist_ok=True)
                subprocess.run(program("data", str(table)), check=True, timeout=300)
            port, self.port = free_port(), free_port()
            command = [binary, "--project", str(self.folder), "--workspace", str(workspace), "up", "--listen", f"127.0.0.1:{port}"]
            self.server = Server([*command, "--flight", f"127.0.0.1:{self.port}"], self.folder / "server.log", folder=self.folder)
            self.server.wait_for_200(port, "/health", timeout=60)
            return f"{paths.our_version()}, read by ADBC {paths.peer_version('adbc-driver-flightsql')}"

        def client(self) -> list[str]:
            token = (self.folder / "workspace" / "token").read_text().strip()
            return program("adbc", f"grpc://127.0.0.1:{self.port}", token)

    class Pyarrow(Side):
        name = "pyarrow"

        def prepare(self) -> str:
            version = paths.peer_version("pyarrow")
            self.port = free_port()
            self.server = Server(program("serve", str(self.port)), Path(paths.WORK) / "flight" / "pyarrow.log")
            return version

        def client(self) -> list[str]:
            return program("pyarrow", f"grpc://127.0.0.1:{self.port}")

    def comparison() -> Comparison:
        metric = Metric("transfer", "GB/s", lower_is_better=False, limit=1)
        return Comparison("flight", [metric], Loopwright(), [Pyarrow()], rounds=5, durability="not concerned, it only reads")

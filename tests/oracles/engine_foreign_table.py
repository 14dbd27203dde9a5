"""Reads a table of the engine with the deltalake package and prints what it finds as JSON.

    .venv/bin/python tests/oracles/engine_foreign_table.py TABLE_DIRECTORY

Used by a test of crates/engine: tables must be readable where they lie, by readers that know nothing of us. Needs deltalake 1.6.6
and pyarrow 26.0.1.
"""

import json
import os
import sys

from deltalake import DeltaTable


def main() -> None:
    table = DeltaTable(sys.argv[1])
    rows = table.to_pyarrow_table().sort_by("id").to_pylist()
    fields = {field.name: str(field.type) for field in table.to_pyarrow_table().schema}
    first = DeltaTable(sys.argv[1], version=0).to_pyarrow_table().num_rows
    print(json.dumps({"version": table.version(), "rows": rows, "fields": fields, "n_rows_at_0": first}, default=str))


if __name__ == "__main__":
    main()
    # The reader's threads can abort the teardown of the interpreter. By here the answer is complete; an error would have ended it earlier.
    sys.stdout.flush()
    os._exit(0)

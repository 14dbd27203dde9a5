"""The file of the comparison `data`: `python contract_data.py ROWS FILE` writes ten columns, the same for the same number of rows.

The formula of the columns is that of the measurements in which the peers were first compared: one in 10,000 amounts is null.
"""

import sys
from pathlib import Path

import duckdb

START_MICROS = 1_767_225_600_000_000
PERIOD_S = 15_552_000


def rows_sql(n_rows: int) -> str:
    def chance(salt: int, below: int) -> str:
        return f"(hash(n * 31 + {salt}) % {below})"

    # A stride that shares no factor with the number of rows visits every id once, in no order.
    stride = next(stride for stride in range(2_654_435_761, 2_654_436_761, 2) if stride % 5 and n_rows % stride)
    return f"""
        SELECT (n * {stride}) % {n_rows} AS id,
            CASE WHEN {chance(1, 10_000)} > 0 THEN -50.0 * ln(({chance(2, 1_000_000)} + 1) / 1000001.0) END::DOUBLE AS amount,
            (18 + {chance(3, 77)})::BIGINT AS age,
            ['US', 'DE', 'FR', 'GB', 'PL', 'NL', 'IT', 'ES'][1 + {chance(4, 8)}::INT] AS country,
            concat('u', {chance(5, 1_000_000)}, '@example.com') AS email,
            make_timestamp({START_MICROS} + {chance(6, PERIOD_S)}::BIGINT * 1000000) AS ts,
            ({chance(7, 1_000_000)} / 1000000.0)::DOUBLE AS score,
            {chance(8, 5)} = 0 AS is_new,
            {chance(9, 50)}::BIGINT AS qty,
            concat('SKU-', 1000 + {chance(10, 8_999)}) AS sku
        FROM range(0, {n_rows}) AS numbers(n)"""


def write(n_rows: int, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    database = duckdb.connect()
    database.execute("SET preserve_insertion_order = true")
    options = "FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 1000000"
    database.execute(f"COPY ({rows_sql(n_rows)}) TO '{unfinished}' ({options})")
    unfinished.rename(path)


if __name__ == "__main__":
    write(int(sys.argv[1]), Path(sys.argv[2]))

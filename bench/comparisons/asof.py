"""The peers' side of the point-in-time comparison: `python asof.py duckdb|polars ROWS` prints {"rows": …, "seconds": …}.

The formula of the rows is that of crates/engine/examples/pit_bench.rs.
"""

import json
import sys
import time

PERIOD_S = 15_552_000
VIEWS = [(2, 90), (5, 7), (3, 30)]


def rows_sql(n_rows: int, seed: int, column: str) -> str:
    def chance(salt: int) -> str:
        return f"((n + {seed}) * 2654435761 + {salt} * 40503) % 4294967291"

    return f"""
        SELECT concat('user-', ({chance(1)}) % {max(n_rows // 10, 1)}) AS k,
            make_timestamp(1356998400000000 + (({chance(2)}) % {PERIOD_S}) * 1000000) AS {column},
            n * 0.5 AS f0, n * 0.25 AS f1, n AS f2, n % 7 AS f3
        FROM range(0, {n_rows}) AS numbers(n)"""


def with_duckdb(n_rows: int) -> tuple[int, float]:
    import duckdb

    database = duckdb.connect()
    database.execute(f"CREATE TABLE spine AS {rows_sql(n_rows, 1, 'at')}")
    joins, columns = "", "spine.*"
    for index, (times, days) in enumerate(VIEWS):
        database.execute(f"CREATE TABLE v{index} AS {rows_sql(n_rows * times, index + 2, 'event')}")
        joins += f" ASOF LEFT JOIN v{index} ON spine.k = v{index}.k AND spine.at >= v{index}.event"
        for feature in range(4):
            fresh = f"spine.at - v{index}.event <= INTERVAL {days} DAY"
            columns += f", CASE WHEN {fresh} THEN v{index}.f{feature} END AS v{index}_f{feature}"
    begin = time.perf_counter()
    joined = database.sql(f"SELECT {columns} FROM spine {joins}").to_arrow_table()
    return joined.num_rows, time.perf_counter() - begin


def with_polars(n_rows: int) -> tuple[int, float]:
    import duckdb
    import polars

    spine = duckdb.sql(rows_sql(n_rows, 1, "at")).pl()
    views = [duckdb.sql(rows_sql(n_rows * times, index + 2, "event")).pl() for index, (times, _) in enumerate(VIEWS)]
    begin = time.perf_counter()
    joined = spine.lazy().sort("at")
    for index, (view, (_, days)) in enumerate(zip(views, VIEWS)):
        names = {f"f{feature}": f"v{index}_f{feature}" for feature in range(4)}
        right = view.lazy().rename(names).sort("event")
        joined = joined.join_asof(right, left_on="at", right_on="event", by="k", strategy="backward", tolerance=f"{days}d")
        joined = joined.drop("event", strict=False)
    return joined.collect().height, time.perf_counter() - begin


def main() -> None:
    join = {"duckdb": with_duckdb, "polars": with_polars}[sys.argv[1]]
    n_rows, seconds = join(int(sys.argv[2]))
    json.dump({"rows": n_rows, "seconds": seconds}, sys.stdout)


if __name__ == "__main__":
    main()

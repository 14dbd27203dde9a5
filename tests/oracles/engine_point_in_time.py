"""Writes crates/engine/tests/golden/point_in_time.json: point-in-time joins of the real flights, done by DuckDB.

    .venv/bin/python tests/oracles/engine_point_in_time.py

The weather is joined with DuckDB's own ASOF JOIN (its keys and times are unique, so ties cannot matter); the aircraft's previous leg,
which has a known time beside its event time, with a range join and row_number. Needs duckdb 2.0.0.
"""

import json
import pathlib

import duckdb

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "examples/flights/data"
TARGET = ROOT / "crates/engine/tests/golden/point_in_time.json"

SQL = f"""
CREATE TABLE flights AS
SELECT row_number() OVER () AS ordinal, *, scheduled_at - INTERVAL 1 HOUR AS asked_at,
    scheduled_at + CAST(dep_delay + air_time + 45 AS BIGINT) * INTERVAL 1 MINUTE AS landed_at
FROM (
    SELECT tailnum, origin, dep_delay, air_time, arr_delay,
        CAST(time_hour AS TIMESTAMPTZ) + minute * INTERVAL 1 MINUTE AS scheduled_at
    FROM read_parquet(['{DATA}/flights/2013-01.parquet', '{DATA}/flights/2013-02.parquet'])
);
CREATE TABLE weather AS
SELECT origin, CAST(time_hour AS TIMESTAMPTZ) AS hour, temp, wind_gust FROM read_parquet('{DATA}/weather.parquet');

CREATE TABLE with_weather AS
SELECT f.ordinal,
    CASE WHEN w.hour >= f.asked_at - INTERVAL 2 HOUR THEN w.temp END AS temp,
    CASE WHEN w.hour >= f.asked_at - INTERVAL 2 HOUR THEN w.wind_gust END AS wind_gust
FROM flights f ASOF LEFT JOIN weather w ON f.origin = w.origin AND f.asked_at >= w.hour;

CREATE TABLE with_leg AS
SELECT ordinal, CASE WHEN event >= asked_at - INTERVAL 48 HOUR THEN arr_delay END AS arr_delay
FROM (
    SELECT f.ordinal, f.asked_at, p.arr_delay, p.scheduled_at AS event,
        row_number() OVER (PARTITION BY f.ordinal ORDER BY p.scheduled_at DESC, p.landed_at DESC, p.ordinal DESC) AS place
    FROM flights f JOIN flights p ON f.tailnum = p.tailnum AND p.scheduled_at < f.asked_at AND p.landed_at <= f.asked_at
)
WHERE place = 1;
"""

TOTALS = """
SELECT count(*) AS n_rows, count(temp) AS n_temp, sum(temp) AS sum_temp, count(wind_gust) AS n_wind_gust,
    sum(wind_gust) AS sum_wind_gust, count(l.arr_delay) AS n_arr_delay, sum(l.arr_delay) AS sum_arr_delay,
    sum(l.arr_delay * (epoch(f.asked_at) / 60 % 1009)) AS weighted_arr_delay
FROM flights f LEFT JOIN with_weather USING (ordinal) LEFT JOIN with_leg l USING (ordinal)
"""


def main() -> None:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = true")
    connection.execute(SQL)
    result = connection.execute(TOTALS)
    names = [column[0] for column in result.description]
    totals = {name: float(value) for name, value in zip(names, result.fetchone())}
    golden = {"generator": pathlib.Path(__file__).name, "duckdb": duckdb.__version__, "totals": totals}
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(golden, indent=2) + "\n")


if __name__ == "__main__":
    main()

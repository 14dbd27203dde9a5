"""Computes with DuckDB what the feature views of examples/flights are worth, for the tests of crates/features.

    python tests/oracles/features_flights.py     # writes crates/features/tests/golden/flights.json

Two oracles. `totals`: DuckDB runs the SQL of every view and joins it to all 336,776 flights with its own ASOF JOIN; for each feature,
how many flights have a value and what the values add up to. `samples`: for a few flights each feature is computed from its meaning, as
an average over the raw flights that had landed an hour before the scheduled hour of departure, without window functions.
"""

import json
import pathlib

import duckdb
import yaml

ROOT = pathlib.Path(__file__).parents[2]
FLIGHTS = ROOT / "examples/flights"
GOLDEN = ROOT / "crates/features/tests/golden/flights.json"
HOURS = {"h": 1, "d": 24}

TABLES = f"""
CREATE TABLE flights AS
SELECT *, scheduled_at + to_minutes((dep_delay + air_time + 45)::INT) AS landed_at, scheduled_hour - INTERVAL 1 HOUR AS predicted_at
FROM (
    SELECT concat_ws('-', carrier, flight, month, day, origin, sched_dep_time) AS flight_id, carrier, origin, dest, tailnum,
        arr_delay::DOUBLE AS arr_delay, dep_delay, air_time, time_hour::TIMESTAMP AS scheduled_hour,
        time_hour::TIMESTAMP + to_minutes(minute::INT) AS scheduled_at
    FROM read_parquet('{FLIGHTS}/data/flights/*.parquet'));
CREATE TABLE weather AS
SELECT * REPLACE (time_hour::TIMESTAMP AS time_hour), time_hour::TIMESTAMP + INTERVAL 1 HOUR AS known_at
FROM '{FLIGHTS}/data/weather.parquet';
CREATE TABLE planes AS SELECT * FROM read_csv('{FLIGHTS}/data/planes.csv', nullstr = 'NA');
"""

# Feature → (entity, unit in which landings are added up, units in the window, what is averaged, units of the ttl).
LATE = "(o.arr_delay > 15)::INT"
WINDOWS = {
    "carrier_delay_24h": (["carrier"], "hour", 24, "o.arr_delay", 24),
    "carrier_late_24h": (["carrier"], "hour", 24, LATE, 24),
    "origin_delay_6h": (["origin"], "hour", 6, "o.arr_delay", 24),
    "origin_late_6h": (["origin"], "hour", 6, LATE, 24),
    "origin_delay_24h": (["origin"], "hour", 24, "o.arr_delay", 24),
    "origin_late_24h": (["origin"], "hour", 24, LATE, 24),
    "dest_delay_24h": (["dest"], "hour", 24, "o.arr_delay", 24),
    "route_delay_7d": (["origin", "dest"], "day", 7, "o.arr_delay", 7),
    "route_late_7d": (["origin", "dest"], "day", 7, LATE, 7),
}


def views():
    return [yaml.safe_load(path.read_text()) for path in sorted((FLIGHTS / "features").glob("*.yaml"))]


def totals(connection):
    columns, joins, features = [], [], []
    for view in views():
        name, event, known = view["feature_view"], view["event_time"], view.get("known_time", view["event_time"])
        connection.execute(f"CREATE TABLE view_{name} AS {view['sql']}")
        ttl = view.get("ttl")
        fresh = f"f.predicted_at - {name}.{event} <= INTERVAL {HOURS[ttl[-1]] * int(ttl[:-1])} HOUR" if ttl else "true"
        keys = " AND ".join(f"f.{entity} = {name}.{entity}" for entity in view["entity"])
        joins.append(f"ASOF LEFT JOIN view_{name} {name} ON {keys} AND f.predicted_at >= {name}.{known}")
        columns += [f"CASE WHEN {fresh} THEN {name}.{feature} END AS {feature}" for feature in view["features"]]
        features += view["features"]
    connection.execute(f"CREATE TABLE joined AS SELECT f.flight_id, {', '.join(columns)} FROM flights f {' '.join(joins)}")
    sums = ", ".join(f"count({feature}), sum({feature}::DOUBLE)" for feature in features)
    row = connection.execute(f"SELECT {sums} FROM joined").fetchone()
    return {feature: {"count": row[2 * i], "sum": row[2 * i + 1]} for i, feature in enumerate(features)}


def from_meaning(connection, flight_id, feature):
    """The average over what had landed in the last whole hours (or days), up to the end of the last one that saw a landing."""
    entity, unit, n_units, value, n_ttl_units = WINDOWS[feature]
    same = " AND ".join(f"o.{column} = f.{column}" for column in entity)
    (mean,) = connection.execute(
        f"""
        WITH landed AS (
            SELECT o.landed_at, {value} AS value, f.predicted_at
            FROM flights o, flights f
            WHERE f.flight_id = ? AND {same} AND o.landed_at < date_trunc('{unit}', f.predicted_at) AND o.arr_delay IS NOT NULL),
        newest AS (SELECT date_trunc('{unit}', max(landed_at)) + INTERVAL 1 {unit} AS window_end FROM landed)
        SELECT avg(value) FROM landed, newest
        WHERE landed_at >= window_end - INTERVAL {n_units} {unit} AND window_end >= predicted_at - INTERVAL {n_ttl_units} {unit}
        """,
        [flight_id],
    ).fetchone()
    return mean


def main():
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(TABLES)
    query = "SELECT flight_id FROM flights WHERE predicted_at > '2013-01-03' ORDER BY md5(flight_id) LIMIT 60"
    chosen = [row[0] for row in connection.execute(query).fetchall()]
    samples = {flight_id: {feature: from_meaning(connection, flight_id, feature) for feature in WINDOWS} for flight_id in chosen}
    golden = {"duckdb": duckdb.__version__, "totals": totals(connection), "samples": samples}
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    GOLDEN.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()

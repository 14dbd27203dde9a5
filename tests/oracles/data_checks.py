"""Golden values for a contract's rules, computed by DuckDB and NumPy: `python tests/oracles/data_checks.py`.

Writes crates/data/tests/golden/checks.parquet, the file of the comparison `data` with defects in every column, and checks.json: how many rows
break each rule, and what conditions on all rows come to. The rules are written here a second time, so that a mistake in either place shows.
"""

import json
import pathlib
import sys

import duckdb
import numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "crates/data/tests/golden"
sys.path.insert(0, str(ROOT / "bench/comparisons"))
from contract_data import rows_sql  # noqa: E402

N_ROWS = 6_000
COUNTRIES = "('US', 'DE', 'FR', 'GB', 'PL', 'NL', 'IT', 'ES')"

DEFECTS = f"""
    SELECT CASE WHEN id % 211 = 0 THEN NULL WHEN id % 113 = 0 THEN 7 ELSE id END AS id,
        CASE WHEN id % 83 = 0 THEN NULL WHEN id % 307 = 0 THEN 9000.5 ELSE amount END AS amount,
        CASE WHEN id % 97 = 0 THEN 121 WHEN id % 101 = 0 THEN -1 ELSE age END AS age,
        CASE WHEN id % 71 = 0 THEN 'XX' WHEN id % 73 = 0 THEN NULL ELSE country END AS country,
        CASE WHEN id % 53 = 0 THEN replace(email, '@', ' at ') WHEN id % 59 = 0 THEN email || 'x' ELSE email END AS email,
        ts, CASE WHEN id % 89 = 0 THEN 1.0000001 ELSE score END AS score, is_new, qty,
        CASE WHEN id % 61 = 0 THEN lower(sku) WHEN id % 67 = 0 THEN sku || '5' ELSE sku END AS sku
    FROM ({rows_sql(N_ROWS)})"""


def counts(database: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Rows that break each rule. Null keeps all of them but `required`."""
    broken = {
        "id.required": "count(*) FILTER (id IS NULL)",
        "age.min": "count(*) FILTER (age < 0)",
        "age.max": "count(*) FILTER (age > 120)",
        "score.min": "count(*) FILTER (score < 0)",
        "score.max": "count(*) FILTER (score > 1)",
        "unique(id)": "count(id) - count(DISTINCT id)",
        "unique(country, qty)": "count(*) FILTER (country IS NOT NULL AND qty IS NOT NULL)"
        " - (SELECT count(*) FROM (SELECT DISTINCT country, qty FROM rows WHERE country IS NOT NULL AND qty IS NOT NULL))",
        "unique(email)": "count(email) - count(DISTINCT email)",
        "country.one_of": f"count(*) FILTER (country NOT IN {COUNTRIES})",
        "email.matches": r"count(*) FILTER (NOT regexp_full_match(email, 'u\d+@example\.com'))",
        "sku.matches": r"count(*) FILTER (NOT regexp_full_match(sku, 'SKU-\d{4}'))",
        "new_ones_are_cheap": "count(*) FILTER (is_new AND amount > 200)",
    }
    found = database.execute(f"SELECT {', '.join(broken.values())} FROM rows").fetchone()
    return dict(zip(broken, found))


def outliers(database: duckdb.DuckDBPyConnection) -> dict[str, int]:
    amounts = database.execute("SELECT amount FROM rows WHERE amount IS NOT NULL").fetchnumpy()["amount"]
    median = numpy.median(amounts)
    scale = 1.4826 * numpy.median(numpy.abs(amounts - median))
    first, third = numpy.quantile(amounts, [0.25, 0.75])
    beyond = 3 * (third - first)
    return {
        "robust_z": int((numpy.abs(amounts - median) > 5 * scale).sum()),
        "iqr": int(((amounts < first - beyond) | (amounts > third + beyond)).sum()),
    }


def aggregates(database: duckdb.DuckDBPyConnection) -> dict[str, float]:
    """What each condition on all rows measures."""
    names = ["avg(amount)", "count(amount)", "count(DISTINCT country)", "stddev(score)", "max(ts)", "median(amount)"]
    found = database.execute(f"SELECT {', '.join(names[:4])}, epoch_us(max(ts)), median(amount) FROM rows").fetchone()
    return dict(zip(names, found))


def main() -> None:
    database = duckdb.connect()
    path = GOLDEN / "checks.parquet"
    options = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 2048"
    database.execute(f"COPY ({DEFECTS}) TO '{path}' ({options})")
    database.execute(f"CREATE TABLE rows AS SELECT * FROM read_parquet('{path}')")
    golden = {
        "n_rows": N_ROWS,
        "broken": counts(database),
        "outliers": outliers(database),
        "aggregates": aggregates(database),
        "countries": dict(database.execute("SELECT country, count(*) FROM rows WHERE country IS NOT NULL GROUP BY ALL ORDER BY ALL").fetchall()),
    }
    (GOLDEN / "checks.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""The peers' side of the comparison `data`: `python contract_peers.py duckdb|pandera FILE` prints {"rows": …, "seconds": …, "broken": {…}}.

DuckDB counts all offenders in one SQL pass from the Parquet file. pandera validates a Polars frame lazily, with all checks of the schema, and its
time includes loading the file, which ours and DuckDB's do too.
"""

import json
import sys
import time

COUNTRIES = ["US", "DE", "FR", "GB", "PL", "NL", "IT", "ES"]
EMAIL, SKU = r"^u\d+@example\.com$", r"^SKU-\d{4}$"


def with_duckdb(path: str) -> dict:
    import duckdb

    countries = ", ".join(f"'{country}'" for country in COUNTRIES)
    sql = f"""
        SELECT count(*), count(*) - count(id), count(*) - count(amount),
            count(*) FILTER (age NOT BETWEEN 0 AND 120), count(*) FILTER (score NOT BETWEEN 0 AND 1),
            count(id) - count(DISTINCT id), count(*) FILTER (country NOT IN ({countries})),
            count(*) FILTER (NOT regexp_matches(email, '{EMAIL}')), count(*) FILTER (NOT regexp_matches(sku, '{SKU}'))
        FROM read_parquet('{path}')"""
    begin = time.perf_counter()
    n_rows, no_id, no_amount, age, score, again, country, email, sku = duckdb.execute(sql).fetchone()
    seconds = time.perf_counter() - begin
    broken = {
        "id.required": no_id,
        "amount_is_there": int(no_amount > 0.01 * n_rows),
        "age": age,
        "score": score,
        "unique(id)": again,
        "country.one_of": country,
        "email.matches": email,
        "sku.matches": sku,
    }
    return {"rows": n_rows, "seconds": seconds, "broken": broken}


def with_pandera(path: str) -> dict:
    import pandera.polars as pa
    import polars as pl

    column, check = pa.Column, pa.Check
    there = check(lambda data: data.lazyframe.select(pl.col(data.key).is_null().mean() < 0.01))
    schema = pa.DataFrameSchema(
        {
            "id": column(pl.Int64, unique=True),
            "amount": column(pl.Float64, nullable=True, checks=there),
            "age": column(pl.Int64, check.in_range(0, 120)),
            "country": column(pl.String, check.isin(COUNTRIES)),
            "email": column(pl.String, check.str_matches(EMAIL)),
            "ts": column(pl.Datetime("us")),
            "score": column(pl.Float64, check.in_range(0, 1)),
            "is_new": column(pl.Boolean),
            "qty": column(pl.Int64),
            "sku": column(pl.String, check.str_matches(SKU)),
        },
        strict=True,
        ordered=True,
    )
    begin = time.perf_counter()
    frame = pl.read_parquet(path)
    schema.validate(frame, lazy=True)
    return {"rows": frame.height, "seconds": time.perf_counter() - begin, "broken": {}}


def main() -> None:
    import resource

    answer = {"duckdb": with_duckdb, "pandera": with_pandera}[sys.argv[1]](sys.argv[2])
    answer["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()

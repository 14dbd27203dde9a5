"""Golden values for the data stage, computed by Polars over the example's files: `python tests/oracles/data_flights.py`.

Writes crates/data/tests/golden/flights.json: which rows each contract of examples/flights keeps out, and the profile of two tables.
The rules are written here a second time, in Polars, so that a mistake in either place shows.
"""

import json
import pathlib

import polars as pl

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "examples/flights/data"
SHARES = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99]
col = pl.col


def flights() -> pl.DataFrame:
    return pl.concat([pl.read_parquet(path) for path in sorted((DATA / "flights").glob("*.parquet"))])


def broken(frame: pl.DataFrame, rules: dict[str, pl.Expr]) -> dict:
    """Rows that break each rule (null keeps it), and rows that break any."""
    flags = frame.select(**{name: rule.fill_null(False) for name, rule in rules.items()})
    counts = {name: flags[name].sum() for name in rules}
    return {"n_rows": frame.height, "n_kept_out": flags.select(pl.any_horizontal(pl.all()).sum()).item(), "rules": counts}


def verdicts() -> dict:
    planes = pl.read_csv(DATA / "planes.csv", null_values="NA", infer_schema_length=None)
    airports = pl.read_csv(DATA / "airports.csv", null_values="NA", infer_schema_length=None)
    weather = pl.read_parquet(DATA / "weather.parquet")
    return {
        "flights": broken(
            flights(),
            {
                "airliners_stay_below_600_mph": col("distance") / col("air_time") * 60 > 600,
                "distance.min": col("distance") < 50,
            },
        ),
        "weather": broken(
            weather,
            {
                "temp.required": col("temp").is_null(),
                "wind_speed.max": col("wind_speed") > 150,
                "no_hard_frost_from_may_to_september": col("month").is_between(5, 9) & (col("temp") < 28),
            },
        ),
        "planes": broken(
            planes,
            {"airliners_have_twenty_seats": col("seats") < 20, "year.min": col("year") < 1960},
        ),
        "airports": broken(
            airports,
            {
                "lat.max": col("lat") > 72,
                "tz.max": col("tz") > -4,
                "tzone.matches": ~col("tzone").str.contains(r"^(America|Pacific)/[A-Za-z_]+$"),
                "american_airports_lie_west_of_greenwich": (col("lon") >= 0) & (col("lon") <= 170),
            },
        ),
        "airlines": broken(pl.read_csv(DATA / "airlines.csv"), {}),
    }


def warnings() -> dict:
    planes = pl.read_csv(DATA / "planes.csv", null_values="NA", infer_schema_length=None)
    faa_number = r"^N[1-9][0-9]{0,4}[A-HJ-NP-Z]{0,2}$"
    return {
        "departed_flights_arrive": flights()
        .select((col("dep_time").is_not_null() & col("arr_delay").is_null()).sum())
        .item(),
        "tailnum.matches": flights().select((~col("tailnum").str.contains(faa_number)).sum()).item(),
        "a_moderate_wind_has_a_direction": pl.read_parquet(DATA / "weather.parquet")
        .select(((col("wind_speed") > 7) & col("wind_dir").is_null()).sum())
        .item(),
        "the_year_of_manufacture_is_known": planes["year"].null_count(),
    }


def profile(frame: pl.DataFrame, columns: list[str]) -> dict:
    summaries = {}
    for name in columns:
        column = frame[name]
        measure = column.str.len_chars() if column.dtype == pl.String else column
        top = column.drop_nulls().value_counts(sort=True).sort("count", name, descending=[True, False]).row(0)
        summaries[name] = {
            "n_nulls": column.null_count(),
            "n_distinct": column.drop_nulls().n_unique(),
            "min": measure.min(),
            "max": measure.max(),
            "mean": measure.mean(),
            "std": measure.std(),
            "quantiles": {str(share): measure.quantile(share, interpolation="higher") for share in SHARES},
            "top": {"value": str(top[0]), "count": top[1]},
        }
    return {"n_rows": frame.height, "columns": summaries}


def main() -> None:
    kept_flights = flights().filter(
        ~(col("distance") / col("air_time") * 60 > 600).fill_null(False)
        & (col("distance") >= 50)
    )
    golden = {
        "verdicts": verdicts(),
        "warnings": warnings(),
        "profiles": {
            "flights": profile(kept_flights, ["dep_delay", "arr_delay", "carrier", "origin", "dest", "tailnum", "air_time", "distance"]),
            "planes": profile(
                pl.read_csv(DATA / "planes.csv", null_values="NA", infer_schema_length=None).filter(
                    (col("seats") >= 20) & ~(col("year") < 1960).fill_null(False)
                ),
                ["year", "seats", "manufacturer", "engine"],
            ),
        },
    }
    target = ROOT / "crates/data/tests/golden/flights.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Fills a database of MLflow's with runs, as its own server would have written them, but in one transaction: its server needs seven minutes.

    PEER_PYTHON mlflow_fill.py DATABASE_URI N_RUNS N_POINTS      by the Python and the MLflow of the peers

Prints the id of the experiment with N_RUNS runs, of five metrics, five parameters and three tags, and the id of a run whose metric `loss`
has N_POINTS points.
"""

import random
import sys

import sqlalchemy
from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine
from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag

TIME = 1_700_000_000_000


def main(uri: str, n_runs: int, n_points: int) -> None:
    engine = create_sqlalchemy_engine(uri)
    _initialize_tables(engine)
    with engine.begin() as connection:
        ids = []
        for name in ("searched", "history"):
            values = {
                "name": name,
                "workspace": "default",
                "artifact_location": f"mlflow-artifacts:/{name}",
                "lifecycle_stage": "active",
                "creation_time": TIME,
                "last_update_time": TIME,
            }
            ids.append(connection.execute(SqlExperiment.__table__.insert().values(**values)).inserted_primary_key[0])
        searched, history = ids
        rows = {table: [] for table in (SqlRun, SqlTag, SqlParam, SqlMetric, SqlLatestMetric)}
        for number in range(n_runs):
            add_run(rows, searched, f"{number:032x}", number)
        last = f"{n_runs:032x}"
        add_row(rows, history, last, n_runs)
        points = [point(last, "loss", 1 / (1 + step), TIME + step, step) for step in range(n_points)]
        rows[SqlMetric] += points
        rows[SqlLatestMetric].append(points[-1])
        for table, values in rows.items():
            for begin in range(0, len(values), 20_000):
                connection.execute(table.__table__.insert(), values[begin : begin + 20_000])
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sqlalchemy.text("VACUUM ANALYZE"))
    print(searched, last)


def point(run: str, key: str, value: float, timestamp: int, step: int) -> dict:
    return {"run_uuid": run, "key": key, "value": value, "timestamp": timestamp, "step": step, "is_nan": False}


def add_row(rows: dict, experiment: int, run: str, number: int) -> None:
    fields = {
        "source_type": "UNKNOWN",
        "source_name": "",
        "entry_point_name": "",
        "user_id": "b",
        "status": "RUNNING",
        "end_time": None,
        "deleted_time": None,
        "source_version": "",
        "lifecycle_stage": "active",
    }
    rows[SqlRun].append(
        {
            "run_uuid": run,
            "name": f"run-{number}",
            "start_time": TIME + number,
            "artifact_uri": f"mlflow-artifacts:/{experiment}/{run}/artifacts",
            "experiment_id": experiment,
            **fields,
        }
    )
    for key, value in {"team": f"t{number % 7}", "mlflow.user": "b", "mlflow.runName": f"run-{number}"}.items():
        rows[SqlTag].append({"run_uuid": run, "key": key, "value": value})


def add_run(rows: dict, experiment: int, run: str, number: int) -> None:
    chance = random.Random(number)
    add_row(rows, experiment, run, number)
    for index in range(5):
        one = point(run, f"m{index}", chance.random(), TIME, 0)
        rows[SqlMetric].append(one)
        rows[SqlLatestMetric].append(one)
    for index in range(5):
        rows[SqlParam].append({"run_uuid": run, "key": f"p{index}", "value": str(chance.randint(0, 9))})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

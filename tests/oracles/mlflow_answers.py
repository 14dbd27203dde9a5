"""Records what MLflow's own server answers to the edge requests of tests/python/mlflow/edges.

    python tests/oracles/mlflow_answers.py URL [AREA...]

URL is an empty `mlflow server` of the version that crates/mlflow names, for example from the peers of the benchmarks:

    mlflow server --workers 1 --backend-store-uri sqlite:////tmp/stock/mlflow.db --artifacts-destination /tmp/stock/artifacts

The answers go to tests/python/mlflow/answers/, one file an area. Recorded answers are compared with, not a live server: starting
MLflow takes as long as all of these requests together, and its server has sixty packages that nothing else here needs.
"""

import json
import sys
import urllib.request
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "python" / "mlflow"
sys.path.insert(0, str(FOLDER))

from edges import AREAS  # noqa: E402
from edges.play import Player  # noqa: E402


def main(url: str, names: list[str]) -> None:
    with urllib.request.urlopen(url.rstrip("/") + "/version") as answer:
        version = answer.read().decode().strip()
    answers = FOLDER / "answers"
    answers.mkdir(exist_ok=True)
    for name in names or AREAS:
        played = {"mlflow": version, "answers": Player(url).play(AREAS[name])}
        (answers / f"{name}.json").write_text(json.dumps(played, indent=1, ensure_ascii=False) + "\n")
        print(f"{name}: {len(played['answers'])} answers")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

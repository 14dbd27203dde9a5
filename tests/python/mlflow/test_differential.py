"""Ours and MLflow's own server answer the same requests alike, but for what differences.py lists."""

import json
from pathlib import Path

import pytest
from differences import DIFFERENCES, doc_table
from edges import AREAS
from edges.play import Player
from mlflow_service import ORACLE, PENDING

ANSWERS = Path(__file__).resolve().parent / "answers"
GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "mlflow.md"
PART_OF = {"otlp": "traces", "assessments": "traces"}
SERVED = {area: edges for area, edges in AREAS.items() if ORACLE or PART_OF.get(area, area) not in PENDING}
ROWS = [(area, edge.label) for area, edges in SERVED.items() for edge in edges]


def stock(area: str) -> dict[str, dict]:
    return json.loads((ANSWERS / f"{area}.json").read_text())["answers"]


@pytest.fixture(scope="module")
def play(service):
    """Plays an area against the server, once."""
    player, played = Player(service.url, service.headers), {}

    def answers(area: str) -> dict[str, dict]:
        if area not in played:
            played[area] = json.loads(json.dumps(player.play(AREAS[area])))
        return played[area]

    return answers


@pytest.mark.parametrize(("area", "label"), ROWS)
def test_the_answer_is_mlflows(play, area, label):
    ours, theirs = play(area)[label], stock(area)[label]
    known = DIFFERENCES.get((area, label))
    if known is None or ORACLE:
        assert ours == theirs
    else:
        assert ours["status"] == known.status, known.reason
        assert ours != theirs, "this difference is gone: take it off the list"


def test_every_known_difference_is_of_a_request():
    assert set(DIFFERENCES) <= set(ROWS)


def test_the_guide_lists_the_differences():
    assert doc_table() in GUIDE.read_text(), "docs/guides/mlflow.md has another table; `python tests/python/mlflow/differences.py` prints this one"


def test_no_users_error_is_a_500(play):
    """MLflow's client tries again for four minutes after a 500."""
    if ORACLE:
        pytest.skip("MLflow's own server gives some")
    for area in SERVED:
        for label, answer in play(area).items():
            assert answer["status"] < 500 or answer["status"] in (501, 503), (area, label, answer)

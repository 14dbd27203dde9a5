"""Where our answers differ from those of MLflow's own server, and why. docs/guides/mlflow.md shows this list.

python tests/python/mlflow/differences.py      prints the guide's table
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """`stock` and `ours` say for a reader what is answered; `status` is what ours is answered with."""

    status: int
    stock: str
    ours: str
    reason: str


TAKEN = Difference(400, "names the statement of SQL that failed", "says that the name is taken", "A client has no use for our SQL.")
RETRIED = "Clients try a 500 again for four minutes; the request is at fault, not the server."
# By area and label of the request.
DIFFERENCES: dict[tuple[str, str], Difference] = {
    ("experiments", "create with a taken name"): TAKEN,
    ("experiments", "create with a deleted one's name"): TAKEN,
}


def doc_table() -> str:
    """The table of docs/guides/mlflow.md: one row for each kind of difference."""
    kinds: dict[Difference, list[str]] = {}
    for (area, label), difference in DIFFERENCES.items():
        kinds.setdefault(difference, []).append(f"{area}: {label}")
    rows = [f"| {'; '.join(requests)} | {kind.stock} | {kind.ours} | {kind.reason} |" for kind, requests in kinds.items()]
    return "\n".join(["| request | MLflow's server | Loopwright | why |", "|---|---|---|---|", *rows]) + "\n"


if __name__ == "__main__":
    print(doc_table(), end="")

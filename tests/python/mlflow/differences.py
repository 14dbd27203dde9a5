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


SQL = Difference(400, "400, with the statement of SQL that failed", "400, that the name is taken", "A client has no use for our SQL.")
NO_500 = "A client sends a request that was answered 500 again for four minutes; this one is at fault itself."
RETRIED = Difference(400, "500", "400", NO_500)
MISSING = Difference(404, "500", "404", NO_500)
SILENT = Difference(400, "200, and stores 0 or nothing", "400, and names the value", "A value that nobody logged falsifies the run.")
PATH_SAYS_IT = Difference(200, "400, the id is missing in the body", "200", "The path has the id.")
CLASSES = Difference(
    400,
    "400, of the class ATTRIBUTE_NOT_FOUND",
    "400, of the class INVALID_PARAMETER_VALUE",
    "No client reads the class; code and message are the same.",
)
EMPTY = Difference(200, "an empty file has no size", "its size is 0", "A size that is 0 is one.")
ODD_PATH = Difference(400, "404", "400", "A path that leaves its folder on some systems, or ends early on others, is refused and not looked for.")
NO_CLASS = Difference(501, "501 without `sqlstate` and `error_class`", "501 with them", "Every error of ours has the same form.")
ABILITIES = Difference(200, "lists what MLflow's server has", "lists what this server has", "Clients ask for what they are told is there.")
IN_FORM = Difference(403, "403 as a text", "403 in MLflow's form of errors", "The client shows the reason.")
# By area and label of the request.
DIFFERENCES: dict[tuple[str, str], Difference] = {
    ("experiments", "create with a taken name"): SQL,
    ("experiments", "create with a deleted one's name"): SQL,
    ("models", "rename to a taken name"): SQL,
    ("experiments", "rename a deleted one"): RETRIED,
    ("metrics", "a list"): RETRIED,
    ("batch", "with a parameter that is a text"): RETRIED,
    ("run_search", "an order twice"): RETRIED,
    ("run_search", "an order twice in two directions"): RETRIED,
    ("model_search", "an order twice"): RETRIED,
    ("logged_search", "filter foo = 'x'"): RETRIED,
    ("logged_search", "filter metrics.m = '1'"): RETRIED,
    ("logged_search", "filter creation_timestamp = 'x'"): RETRIED,
    ("aliases", "archived, archiving"): RETRIED,
    ("webhooks", "with an unknown event"): RETRIED,
    ("versions", "version of 'models:/m-00000000000000000000000000000000' with model_id"): MISSING,
    ("runs", "create with a float for a time"): SILENT,
    ("metrics", "a truth value"): SILENT,
    ("metrics", "a step beyond 64 bits"): SILENT,
    ("metrics", "a float for a step"): SILENT,
    ("batch", "with a bad metric's value"): SILENT,
    ("inputs", "log one without its data set"): SILENT,
    ("traces", "set a tag of a missing one"): Difference(404, "400, in the words of its database", "404", "The trace is not there."),
    ("datasets", "add records to a missing one"): Difference(404, "200, and keeps the records", "404", "Records of no data set are found by nobody."),
    ("logged_search", "a page of another search"): Difference(
        400, "names the fields of an order in one sequence", "in another", "A message says the same whatever the sequence."
    ),
    ("metrics", "all that was logged"): Difference(
        200, "a bare NaN was stored as 0 at the time 0", "it was stored as NaN", "JSON has no NaN, but programs write it and mean it."
    ),
    ("run_search", "an experiment as a number"): Difference(
        400, "200, and finds nothing", "400", "An experiment's id is a text; who sends a number looks for something."
    ),
    ("inputs", "search data sets without the slash"): Difference(
        200, "404", "200", "MLflow's definition has this path; its server loses it behind another."
    ),
    ("logged", "finalize without the id in the body"): PATH_SAYS_IT,
    ("logged", "log parameters without the id in the body"): PATH_SAYS_IT,
    ("logged", "log a metric of a missing one"): Difference(
        404, "400, with the statement of SQL that failed", "404", "What is missing is a logged model."
    ),
    ("logged_search", "a bad page token"): Difference(
        400, "400, and at which character Python stopped", "400, that the token is none", "Our reader is not Python's."
    ),
    ("artifacts", "get two ranges"): Difference(
        200, "206, in parts", "200, the whole", "RFC 9110 leaves it to the server; no client of MLflow asks for two."
    ),
    ("artifacts", "get a range of another unit"): Difference(
        200, "400", "200, the whole", "RFC 9110 has a server pass over units that it does not know."
    ),
    ("artifacts", "list"): EMPTY,
    ("artifacts", "list after that"): EMPTY,
    ("artifacts", "get a backslash"): ODD_PATH,
    ("artifacts", "get a zero byte"): ODD_PATH,
    ("artifacts", "put at a dot"): RETRIED,
    ("artifacts", "begin a multipart upload"): NO_CLASS,
    ("artifacts", "begin a multipart upload of none"): NO_CLASS,
    ("artifacts", "a presigned address"): NO_CLASS,
    ("wire", "JSON that is a list"): RETRIED,
    ("wire", "health"): Difference(
        200, "the text OK", 'the JSON {"status": "ok"}', "The route is Loopwright's own; clients look at the status alone."
    ),
    ("wire", "version"): Difference(200, "as text/html", "as text/plain", "It is a plain text."),
    ("wire", "metrics"): Difference(200, "404 unless asked for", "200", "The route is Loopwright's own, for Prometheus."),
    ("wire", "what the server can"): ABILITIES,
    ("wire", "what the server can, for the console"): ABILITIES,
    ("wire", "ping"): Difference(404, "404 as a page", "404 in Loopwright's own form", "The path is not of MLflow's protocol."),
    ("wire", "workspaces"): Difference(404, "503", "404", NO_500),
    ("wire", "a foreign host asks for health"): Difference(
        421, "200", "421", "On a loopback address only names of this machine are answered, whatever is asked. A server on another address answers."
    ),
    ("wire", "a foreign host"): IN_FORM,
    ("wire", "a foreign origin"): IN_FORM,
    **{("logged_search", f"order {field} {ascending}"): CLASSES for field in ("foo", "") for ascending in (True, False)},
    ("logged_search", "an order without a field"): CLASSES,
}


def doc_table() -> str:
    """The table of docs/guides/mlflow.md: one row for each kind of difference."""
    kinds: dict[Difference, list[str]] = {}
    for (area, label), difference in DIFFERENCES.items():
        kinds.setdefault(difference, []).append(f"{area}: {label.strip()}")
    rows = [f"| {'; '.join(requests)} | {kind.stock} | {kind.ours} | {kind.reason} |" for kind, requests in kinds.items()]
    return "\n".join(["| request | MLflow's server | Loopwright | why |", "|---|---|---|---|", *rows]) + "\n"


if __name__ == "__main__":
    print(doc_table(), end="")

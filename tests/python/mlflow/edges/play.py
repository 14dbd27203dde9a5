"""Sends an area's requests to a server, and words its answers so that those of two servers can be compared."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request

from .edge import Edge

JSON = {"Content-Type": "application/json"}
MILLISECONDS = range(1_500_000_000_000, 2_500_000_000_000)
# What differs from server to server and from day to day inside texts.
PATTERNS = [
    (re.compile(r"\n\[SQL: .*", re.DOTALL), " [SQL]"),
    (re.compile(r"(mlflow-artifacts:/)\d+\b"), r"\1#experiment"),
    (re.compile(r"((?:Experiment with id=|[Ee]xperiment |experiment with id ))(?!0\b)\d+"), r"\1#experiment"),
    (re.compile(r"\b1[67]\d{11}\b"), "#milliseconds"),
    (re.compile(r"\b0x[0-9a-f]+\b"), "#address"),
    (re.compile(r"--[0-9a-f]{26,32}\b"), "--#boundary"),
    (re.compile(r"(No such artifact: ')\d+/"), r"\1#experiment/"),
    (re.compile(r"\b(m|d|a|tr|w|scr)-[0-9a-f]{32}\b"), r"\1-#hex"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "#hex"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "#uuid"),
    (re.compile(r"\b20\d\d-\d\d-\d\dT[\d:.]+Z"), "#time"),
    (re.compile(r"\b[a-z]+-[a-z]+-\d{1,4}\b(?!-)"), "#random-name"),
]
LONG = re.compile(r"(.)\1{99,}")
DIGEST = re.compile(r"[0-9a-f]{8}")
SET = re.compile(r"\{('[^{}]*')\}")


class Player:
    """Plays areas against one server."""

    def __init__(self, url: str, headers: dict[str, str] | None = None):
        self.url = url.rstrip("/")
        self.headers = headers or {}

    def play(self, edges: list[Edge]) -> dict[str, dict]:
        """The answers of an area's edges, by their labels."""
        known = {"unique": str(time.time_ns())}
        answers = {}
        for edge in edges:
            assert edge.label not in answers, f"two edges are called {edge.label}"
            status, kind, text = self.send(edge, known)
            body = parsed(text)
            for name, path in edge.keep.items():
                known[name] = dig(body, path)
            answers[edge.label] = shown(edge, status, kind, body, known)
        return answers

    def send(self, edge: Edge, known: dict[str, str]) -> tuple[int, str, bytes]:
        url = self.url + filled(edge.path, known)
        if edge.query:
            url += "?" + urllib.parse.urlencode(filled(edge.query, known), doseq=True)
        raw = filled(edge.raw, known)
        data = raw.encode() if isinstance(raw, str) else raw
        if edge.body is not None:
            data = json.dumps(filled(edge.body, known)).encode()
        headers = {**self.headers, **(JSON if edge.headers is None else filled(edge.headers, known))}
        request = urllib.request.Request(url, data=data, method=edge.method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.headers.get("content-type") or "", answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers.get("content-type") or "", error.read()


def filled(value, known: dict[str, str]):
    """The value with what is known put in the place of its name."""
    if isinstance(value, str):
        for name in sorted(known, key=len, reverse=True):
            value = value.replace(f"${name}", known[name] or f"missing-{name}")
        return value
    if isinstance(value, dict):
        return {filled(key, known): filled(inner, known) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, known) for inner in value]
    return value


def parsed(text: bytes):
    try:
        return json.loads(text)
    except ValueError:
        return text.decode(errors="replace")


def dig(body, path: str) -> str:
    """A value inside an answer, as `run.info.run_id` or `files.0.path`; empty where it is not."""
    for step in path.split("."):
        if isinstance(body, list) and step.isdigit() and int(step) < len(body):
            body = body[int(step)]
        elif isinstance(body, dict):
            body = body.get(step)
        else:
            return ""
    return "" if body is None else str(body)


def shown(edge: Edge, status: int, kind: str, body, known: dict[str, str]) -> dict:
    """What of an answer is compared: the status, the kind of body, and the body with names for what differs by chance."""
    if edge.show == "runs" and status == 200:
        return {"status": status, "runs": [run["info"].get("run_name") for run in body.get("runs", [])]}
    if edge.show == "names" and status == 200:
        found = next((value for value in body.values() if isinstance(value, list)), [])
        return {"status": status, "names": [neutral(inner.get("name"), known) for inner in (item.get("info", item) for item in found)]}
    if edge.show == "traces" and status == 200:
        return {"status": status, "n_traces": len(body.get("traces", []))}
    if edge.show == "points" and status == 200:
        points = [json.dumps(neutral(point, known), sort_keys=True) for point in body.get("metrics", [])]
        return {"status": status, "points": sorted(points)}
    if edge.show == "status":
        return {"status": status}
    if "html" in kind and not isinstance(body, (dict, list)):
        body = "(a page)" if "<" in body else body
    return {"status": status, "kind": kind.split(";")[0], "body": neutral(body, known)}


def is_a_set(values: list) -> bool:
    """Whether a list is in no order: parameters, tags and the latest metrics of a run, its inputs. Databases give them as they lie."""
    keys = [value.get("key") for value in values if isinstance(value, dict)]
    if keys and None not in keys and len(set(keys)) == len(keys):
        return True
    return any(isinstance(value, dict) and ("dataset" in value or "digest" in value) for value in values)


def neutral(value, known: dict[str, str], key: str = ""):
    if isinstance(value, dict):
        return {name: neutral(inner, known, name) for name, inner in sorted(value.items())}
    if isinstance(value, list):
        inner = [neutral(inner, known, key) for inner in value]
        return sorted(inner, key=json.dumps) if is_a_set(inner) else inner
    if isinstance(value, int) and not isinstance(value, bool):
        return "#milliseconds" if value in MILLISECONDS else "#experiment" if key == "experiment_id" else value
    if not isinstance(value, str):
        return value
    if key in ("experiment_id", "experiment_ids") and value.isdigit() and value != "0":
        return "#experiment"
    if key == "digest" and DIGEST.fullmatch(value):
        return "#digest"
    for name, given in known.items():
        if len(given) > 8:
            value = value.replace(given, f"${name}")
    value = LONG.sub(lambda match: f"({match[1]} {len(match[0])} times)", value)
    for pattern, neutral_text in PATTERNS:
        value = pattern.sub(neutral_text, value)
    # Python prints a set in another order each time.
    return SET.sub(lambda match: "{" + ", ".join(sorted(match[1].split(", "))) + "}", value)

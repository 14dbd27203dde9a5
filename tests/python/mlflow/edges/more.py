"""What stands beside runs and models: webhooks, evaluation data sets, scorers."""

from __future__ import annotations

from .edge import V3, delete, experiment, get, patch, post

HOOK = "https://93.184.216.34/h"
EVENT = [{"entity": "REGISTERED_MODEL", "action": "CREATED"}]


def hook(label: str, **more):
    return post(label, "webhooks", {"name": "w", "url": HOOK, "events": EVENT, **more})


WEBHOOKS = [
    post("create", "webhooks", {"name": "w", "url": HOOK, "events": EVENT, "description": "d", "secret": "s"}, keep={"hook": "webhook.webhook_id"}),
    hook("without TLS", url="http://93.184.216.34/h"),
    hook("to this machine", url="https://127.0.0.1/h"),
    hook("to a private address", url="https://10.0.0.1/h"),
    hook("to no address", url="x"),
    hook("without an event", events=[]),
    hook("with an unknown event", events=[{"entity": "BOGUS", "action": "CREATED"}]),
    hook("with an event that is none", events=[{"entity": "REGISTERED_MODEL", "action": "DELETED"}]),
    hook("without a name", name=""),
    hook("with a bad name", name="a b"),
    hook("with a bad status", status="BOGUS"),
    get("get", "webhooks/$hook"),
    get("get a missing one", "webhooks/nope"),
    patch("update", "webhooks/$hook", {"description": "e", "status": "DISABLED"}),
    patch("update a missing one", "webhooks/nope", {"description": "e"}),
    get("no rows", "webhooks", {"max_results": 0}, show="status"),
    get("1001 rows", "webhooks", {"max_results": 1001}),
    delete("delete", "webhooks/$hook"),
    delete("delete twice", "webhooks/$hook"),
    get("get a deleted one", "webhooks/$hook"),
]

D = V3 + "datasets"
DATASETS = [
    experiment(),
    post("create", D + "/create", {"name": "d-$unique", "experiment_ids": ["$experiment"], "tags": '{"k": "v"}'}, keep={"set": "dataset.dataset_id"}),
    post("create again", D + "/create", {"name": "d-$unique"}, show="status"),
    post("create without a name", D + "/create", {}, show="status"),
    get("get", D + "/$set"),
    get("get a missing one", D + "/d-none"),
    post("add records", D + "/$set/records", {"records": '[{"inputs": {"q": "a"}, "expectations": {"e": "b"}}]'}),
    post("add one again", D + "/$set/records", {"records": '[{"inputs": {"q": "a"}, "expectations": {"e": "c"}}]'}),
    post("add records to a missing one", D + "/d-none/records", {"records": "[]"}, show="status"),
    get("records", D + "/$set/records", show="status"),
    get("experiments", D + "/$set/experiment-ids"),
    post("search", D + "/search", {"experiment_ids": ["$experiment"]}, show="status"),
    patch("set tags", D + "/$set/tags", {"tags": '{"a": "b"}'}),
    delete("delete a tag", D + "/$set/tags/a"),
    delete("delete", D + "/$set"),
    get("get a deleted one", D + "/$set"),
    delete("delete twice", D + "/$set"),
]

S = V3 + "scorers"
ONE = {"experiment_id": "$experiment", "name": "s"}
SCORERS = [
    experiment(),
    post("register", S + "/register", {**ONE, "serialized_scorer": '{"name": "s"}'}),
    post("register again", S + "/register", {**ONE, "serialized_scorer": '{"name": "s2"}'}),
    post("register without a name", S + "/register", {"experiment_id": "$experiment", "serialized_scorer": "{}"}),
    post("register in a missing experiment", S + "/register", {"experiment_id": "999999", "name": "s", "serialized_scorer": "{}"}),
    get("list", S + "/list", {"experiment_id": "$experiment"}),
    get("versions", S + "/versions", ONE),
    get("get", S + "/get", ONE),
    get("get a version", S + "/get", {**ONE, "version": 1}),
    get("get a missing version", S + "/get", {**ONE, "version": 9}),
    get("get a missing one", S + "/get", {**ONE, "name": "nope"}),
    delete("delete a version", S + "/delete", {**ONE, "version": 1}),
    delete("delete", S + "/delete", ONE),
    delete("delete twice", S + "/delete", ONE),
]

"""What stock MLflow says to filters, orders and page tokens, for lw-search.

Run from the root of the repository with a Python that has mlflow 3.18: python tests/oracles/search_mlflow.py
Each filter goes through stock's parser and then as a real search through stock's store on an empty SQLite database, so that a
verdict is what a client gets. An answer is the comparisons that stock understood, its message, or the error that it did not mean
to raise (such a request gets status 500). The inputs are written beside the answers, one case a line.
"""

import itertools
import json
import math
import pathlib
import re
import tempfile

import mlflow
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore
from mlflow.utils import search_logged_model_utils
from mlflow.utils.search_utils import (
    SearchEvaluationDatasetsUtils,
    SearchExperimentsUtils,
    SearchModelUtils,
    SearchModelVersionUtils,
    SearchTraceUtils,
    SearchUtils,
)

assert mlflow.__version__.startswith("3.18."), mlflow.__version__
OUT = pathlib.Path(__file__).parents[2] / "crates/search/tests/golden"

COMPARATORS = ["=", "!=", ">", ">=", "<", "<=", "LIKE", "ilike", "RLIKE", "IN", "NOT IN", "IS NULL", "is not null", "==", "<>", "NOT LIKE"]
VALUES = ["'a'", '"a"', "`a`", "a", "1", "-1", "1.5", "1.", ".5", "1e3", "1E-3", "-1.5e10", "0x1F", "1.5a", "12abc", "007", "+1",
          "99999999999999999999", "1e999", "nan", "inf", "NULL", "null", "true", "''", '""', "'it''s'", "'it\\'s'", "'a\\\\'",
          "'unclosed", '"unclosed', "`unclosed", "'é'", "'名前'", "'%a_'", "' a '", "'a' 'b'", "'a;b'", "'a -- b'", "$$a$$",
          "('a')", "('a',)", "('a', \"b\")", "('a','b')", "()", "('a' 'b')", "('it''s')", "('a', 1)", "(1, 2)", "(1)", "(a)", "('a'",
          "('a', ('b'))", "(('a'))", "('a\\n')", "('\\x41')", "(r'\\d')", "(b'a')", "(None)", "(1.5, 1e20)", "('a'; 'b')",
          "(SELECT 1)", "'1'", "' 12 '", "'1_0'", "'1.5'", "'x'", "-", "--1", "1-1", "1 + 1", "x.y", "x('a')", "CURRENT_DATE",
          "date '2020-01-01'", "[a]", "?", ":a", "%s", "@ab", "5 DESC", "5 AS b"]
#: {f} is a field that takes texts, {n} one that takes numbers (or the same).
SYNTAX = [
    " ", "\t\n", "AND", "and and", ";", "-- comment", "/* c */", "{f} = 'a'", "{f}='a'", "{f}  =   'a'", " {f} = 'a'", "{f} = 'a' ",
    "\n{f} = 'a'\n", "{f} = 'a' AND", "AND {f} = 'a'", "{f} = 'a' and {n} > 1", "{f} = 'a' aNd {n} > 1", "{f} = 'a' AND AND {n} > 1",
    "{f} = 'a'AND {n} > 1", "{f} = 'a' {n} > 1", "{f} = 'a', {n} > 1", "{f} = 'a' OR {n} > 1", "({f} = 'a')", "({f} = 'a') AND {n} > 1",
    "{n} > 1 AND ({f} = 'a')", "NOT {f} = 'a'", "not {n} > 1", "{n} BETWEEN 1 AND 3", "{f} = 'a';", "{f} = 'a'; {n} > 1",
    "{f} = 'a';\n", "{f} = 'a'; -- c", "{f} = 'a' -- c", "{f} = 'a' /* c */", "/* c */ {f} = 'a'", "{f} /* c */ = 'a'",
    "{f} = /* c */ 'a'", "{f} = 'a' AND /* c */ {n} > 1", "{f} = 'a' # c", "{f}", "{f} =", "= 'a'", "{f} 'a'", "{f} = 'a' 'b'",
    "{f} = 'a' b", "b {f} = 'a'", "'a' = {f}", "{f} = {f}", "{f} = 'a' = 'b'", "{n} > 1 > 2", "1 = 1", "'a' = 'a'", "{f} IS NULL",
    "{f} is Null", "{f} IS  NULL", "{f} IS NOT NULL", "{f} IS NOT  NULL", "{f} IS 'a'", "{f} IS", "{f} NOT NULL", "{f} = NULL",
    "{f} IS NULL AND {n} > 1", "{n} > 1 AND {f} IS NULL", "{f} IS NULL AND {f} IS NOT NULL AND {n} > 1", "{f} IS NOT NULL foo",
    "{f} IN ('a') AND {n} > 1", "{n} > 1 AND {f} IN ('a')", "{f} IN 'a'", "{f} IN('a')", "{f} in ('a')", "{f} NOT  IN ('a')",
    "{f} NOT IN 'a'", "{f} not in ('a') and {n} > 1", "{f} IN ('a') OR {n} > 1", "{f} LIKE 'a' AND {f} ILIKE 'b'", "{f} like 'a'",
    "{f} LIKE 'a' ESCAPE '!'", "{f} ~ 'a'", "{f} !~ 'a'", "{f} => 'a'", "{f} :: 'a'", "{f} := 'a'", "{f} || 'a' = 'b'",
    "{f} + 1 = 2", "{f} * 2 = 4", "{f}[0] = 'a'", "{f}.b = 'a'", "{f} . b = 'a'", "x.{f} = 'a'", "foo({f}) = 'a'", "LOWER({f}) = 'a'",
    "CASE WHEN {f} = 'a' THEN 1 END = 1", "SELECT {f} = 'a'", "WHERE {f} = 'a'", "{f} = 'a' ORDER BY {f}", "{f} = 'a' LIMIT 1",
    "{f} = 'a' GROUP BY {f}", "EXISTS (SELECT 1)", "{f} = ANY ('a')", "{f} = 'a' UNION SELECT 1", "{f} AS b = 'a'", "{f} = 'a' AS b",
    "{n} > 1 AND {n} > 2 AND {n} > 3 AND {n} > 4", "{n}>1 AND {n}<2", "{n} > -1", "{n} >-1", "{n} > - 1", "{n} > 1 DESC",
    "{f} = 'a' AND {f} NOT BETWEEN 1", "{f} foo 'a'", "{f} IN", "{f} NOT", "{f} NOT LIKE 'a' AND {n} > 1", "{f} IS NULL NULL",
    "BEGIN", "{f} = 'a' XOR {n} > 1", "{f} = 'a' && {n} > 1", "{f} == 'a' || {n} > 1", "{{f}} = 'a'", "\\{f} = 'a'", "{f} = 'a\nb'",
    "{f} = 'a' AND {n} > 1 AND {f} IN ('a', 'b') AND {f} IS NULL", "ÀÉ = 'a'", "名 = 'a'", "_a = 'a'", "1a = 'a'", "timestamp > 1",
    "timestamp = 'a'", "timestamp > 1 AND {f} = 'a'", "text LIKE 'a'", "date > 1", "version = 1", "name", "value > 1 AND",
    "((((({f} = 'a')))))", "{f} = ((('a')))", "{f} = 'a' AND " * 30 + "{n} > 1",
]
MANY = ["(" * 120 + "tags.a = 'a'" + ")" * 120, "tags.a = 'a' AND " * 1100 + "tags.a = 'b'", "tags.a " + "- 1 " * 150 + "> 1"]

KEYS = ["tags.a", "tag.a", "Tags.a", "TAGS.a", "tags.`a b`", 'tags."a b"', "tags.'a b'", "`tags`.a", '"tags".a', "tags.a.b", "tags.mlflow.user",
        "tags.`mlflow.user`", "tags.", "tags. a", "tags .a", "tags.a b", "tags.1a", "tags.a-b", "tags.a/b", "tags._a", "tags.é", "tags.名", "tags.name",
        "tags.`a``b`", "tags.``", "tags.select", "tags.version", "tags.`", "tags..a", ".a", "tags.[a b]", "tags.a:b", "tags.*", "tags.$a",
        "tag.`a", "foo.bar", "attributes.nope", "attribute.nope", "attr.nope", "nope", "`nope`", '"nope"', "attributes.`name`", "`name`", '"name"',
        "name", "NAME", "Name", "attribute.name", "attributes.name", "attr.name", "trace.name", "run.name", "status", "attributes.status",
        "metrics.a", "metric.a", "metrics.`a b`", 'metrics."a/b"', "params.a", "param.a", "parameter.a", "parameters.a", "params.`a.b`"]
FIELDS = {
    "run": ["tags.a", "params.a", "metrics.a", "run_id", "run_name", "status", "user_id", "artifact_uri", "start_time", "end_time", "created",
            "Created", "attributes.`run name`", "attributes.`Run Name`", "attr.`run_name`", "run.start_time", "dataset.name", "datasets.digest",
            "dataset.context", "dataset.`name`", "dataset.nope", "experiment_id", "lifecycle_stage", "attributes.created"],
    "experiment": ["tags.a", "name", "experiment_id", "creation_time", "last_update_time", "attributes.experiment_id", "lifecycle_stage"],
    "registered_model": ["tags.a", "name", "attribute.name", "creation_timestamp", "last_updated_timestamp", "tags.`mlflow.prompt.is_prompt`"],
    "model_version": ["tags.a", "name", "version_number", "run_id", "source_path", "version", "attribute.run_id", "creation_timestamp"],
    "logged_model": ["tags.a", "params.a", "metrics.a", "name", "model_id", "model_type", "status", "source_run_id", "creation_timestamp",
                     "creation_time", "creation_timestamp_ms", "last_updated_timestamp", "last_updated_timestamp_ms", "attributes.name", "attributes.`name`",
                     "metrics.a.b", "experiment_id"],
    "trace": ["tags.a", "metadata.a", "request_metadata.a", "request_id", "timestamp", "timestamp_ms", "execution_time", "execution_time_ms",
              "end_time", "end_time_ms", "status", "client_request_id", "name", "run_id", "prompt", "text", "trace.text", "trace.status",
              "trace.timestamp", "attributes.timestamp", "span.name", "span.type", "span.status", "span.content", "span.attributes.a",
              "span.attributes.`a.b`", "span.attributes.", "span.attributes", "span.nope", "spans.name", "feedback.a", "feedback.`a b`", "feedback.", "expectation.a",
              "feedback.name", "issue.id", "issue.nope", "metadata.`mlflow.trace.session`", "metadata.`mlflow.trace.cost`",
              "metadata.`mlflow.trace.tokenUsage`", "metadata.run_id", "tags.`mlflow.linkedPrompts`", "tags.timestamp", "tags.Name", "assessment.a"],
    "evaluation_dataset": ["tags.a", "name", "created_time", "last_update_time", "created_by", "last_updated_by", "attributes.name", "dataset_id"],
}
TEXT_FIELDS = {"run": ["params.a", "run_id", "status", "dataset.name"], "experiment": ["name", "experiment_id"], "registered_model": ["name"],
               "model_version": ["name", "run_id"], "logged_model": ["name", "params.a", "status"],
               "trace": ["status", "name", "metadata.a", "span.name", "span.content", "feedback.a", "prompt"], "evaluation_dataset": ["name", "created_by"]}
NUMBER_FIELDS = {"run": ["metrics.a", "start_time"], "experiment": ["creation_time"], "registered_model": [], "model_version": ["version_number"],
                 "logged_model": ["metrics.a", "creation_timestamp"], "trace": ["timestamp_ms", "execution_time", "timestamp", "feedback.a"],
                 "evaluation_dataset": ["created_time"]}
EXTRA = {
    "run": ["metrics.m > 0.5 OR params.p = '1'", "metric.dup >= 2", "metrics.`dup` = 2", 'metrics."dup" = 2', "params.p = 1", 'params.p = "1"',
            "params.p like '1%'", "params.p LIKE '_'", "tags.t IS NULL", "tags.`mlflow.user` is not null", "attributes.status = 'running'",
            "run_id IN ('77771724d56c4c5e8f0763296811e7ff')", "run_id NOT IN ('a','b')", "run_name IN ('renamed')", "attributes.start_time > 0",
            "start_time > '0'", "created > 0", "attr.nope = 'a'", "foo.bar = 'a'", "metrics.nan > -1", "metrics.nan != 1", "metrics.inf > 1e300",
            "dataset.name = 'x'", "params.p = '1' and (metrics.dup > 0)", "params.p = '1';", "params.p = 'it''s'", "not metrics.dup > 1",
            "params.p in ('1')", "metrics.dup BETWEEN 1 AND 3", "tags.\"t x\" = 'a'", "params.P = '1'", "run_name ILIKE 'REN%'", "params.p = '1' AND",
            "end_time > 0", "attributes.artifact_uri LIKE '%'", "attributes.user_id = 'x'"],
    "experiment": ["name = 'Default'", "name LIKE '%fau%'", "name ilike 'DEF%'", "experiment_id = '0'", "experiment_id IN ('0')", "creation_time > 0",
                   "tags.a = 'b'", "tag.a IS NULL", "name IN ('Default')", "attribute.name != 'x'", "foo = 1"],
    "registered_model": ["name='M-1'"], "model_version": ["name='M-1'", "name='a' AND version_number=1"],
    "logged_model": ["metrics.a > 0.1 AND params.lr = 0.01", "status = 'READY'", "status IN ('READY', 'NOPE')", "status IN ('READY','FAILED')"],
    "trace": ["attributes.nope = 'a'", "prompt = 'a/1'", "prompt = 'a'", "prompt = 'a/b/c'", "trace.text LIKE '%a%'", "span.name = 'a' AND span.type = 'LLM'",
              "timestamp > 5 AND timestamp_ms < 10", "timestamp_ms >= 5 AND status = 'OK'"],
    "evaluation_dataset": ["name LIKE 'a%' AND tags.team = 'x'", "name in ('a')"],
}
ORDER_NAMES = ["name", "metrics.a", "metrics.`a`", "metrics.`a b`", 'metrics."a b"', "metrics.'a b'", "metrics.a b", "params.a", "tags.a", "tag.a", "start_time",
               "attributes.start_time", "created", "Created", "end_time", "run_id", "run_name", "`run name`", "status", "user_id", "artifact_uri",
               "dataset.name", "nope", "attributes.nope", "foo.bar", "experiment_id", "creation_time", "last_update_time", "timestamp", "timestamp_ms",
               "TIMESTAMP", "creation_timestamp", "last_updated_timestamp", "version_number", "source_path", "request_id", "execution_time",
               "execution_time_ms", "end_time_ms", "client_request_id", "metadata.a", "metadata.`mlflow.trace.cost`", "tags.name", "span.name", "feedback.a",
               "text", "prompt", "created_time", "created_by", "version", "`name`", "tags.`a", "'name'", "tags.a\\ b", "name + 1", "lower(name)", "1", "''"]
DIRECTIONS = ["", " ASC", " desc", "  DESC", " DESC ", " foo", " ASC DESC", " DESC NULLS LAST", "\tASC", " asc;", ";", " ASC, name"]
ORDER_LISTS = [["name", "name"], ["metrics.a", "metrics.a DESC"], ["start_time", "created DESC"], ["metrics.a", "params.a", "tags.a"], ["name", "nope", "name"],
               ["timestamp", "last_updated_timestamp"], ["timestamp", "timestamp_ms"], ["metrics.`a`", "metrics.a"], [""], [" "], ["name", ""],
               ["name ASC", "version_number DESC"], ["tags.name", "name"], ["it's", "a\"b"]]


def filters(entity):
    text, numbers = TEXT_FIELDS[entity], NUMBER_FIELDS[entity]
    yield from EXTRA[entity]
    for template in SYNTAX:
        yield template.replace("{f}", "tags.a").replace("{n}", (numbers or ["tags.b"])[0])
    yield from MANY if entity in ("run", "logged_model") else ()
    for field, comparator in itertools.product(FIELDS[entity], COMPARATORS):
        null, listed = "NULL" in comparator.upper(), "IN" in comparator.split()
        for value in [""] if null else ["('a')", "('1', '2')"] if listed else ["'a'", "1"]:
            yield f"{field} {comparator} {value}".rstrip()
    for field in KEYS:
        yield from (f"{field} = 'a'", f"{field} > 1", f"{field} IS NULL")
    for field, value in itertools.product(["tags.a", *text], VALUES):
        yield f"{field} = {value}"
    for field, value in itertools.product(numbers, VALUES):
        yield f"{field} > {value}"
    for field, value in itertools.product(text[:2], [value for value in VALUES if value.startswith("(")]):
        yield f"{field} IN {value}"


ALIASES = {"created": "start_time", "Created": "start_time", "run name": "run_name", "Run name": "run_name", "Run Name": "run_name"}


def plain(value):
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return repr(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


NUMERIC = {"version_number", "experiment_id", "timestamp_ms", "execution_time_ms", "end_time_ms"}


def number(value):
    """Stock binds these texts to a column of numbers, and SQLite or stock's store makes a number of them."""
    if isinstance(value, tuple):
        return [number(item) for item in value]
    for make in (int, float) if isinstance(value, str) else ():
        try:
            return make(value)
        except ValueError:
            pass
    return value


def comparisons(entity, text, parse):
    """The comparisons with canonical keys; the store has aliases for runs that its parser does not know."""
    if entity == "logged_model":
        found = [[c.entity.type.value, c.entity.key, c.op, c.value] for c in parse(text)]
    else:
        found = [[c["type"], c["key"], c["comparator"].upper(), c["value"]] for c in parse(text)]
    for comparison in found:
        kind, key, _, value = comparison
        if entity == "run":
            comparison[1] = ALIASES.get(key, key)
        if kind == "span" and key.startswith("attributes."):
            comparison[1] = "attributes." + SearchUtils._trim_backticks(key.removeprefix("attributes."))
        is_number = kind == "metric" or (kind == "attribute" and key in NUMERIC)
        comparison[3] = plain(number(value) if is_number else value)
    return found


def steady(message):
    """Sets and addresses differ from run to run."""
    message = re.sub(r"\{([^{}]*)\}", lambda match: "{" + ", ".join(sorted(match[1].split(", "))) + "}", message)
    return re.sub(r" at 0x[0-9a-f]+", "", message)


def answer(work):
    try:
        return work()
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE":
            return {"failed": error.error_code, "message": steady(error.message.split("\n")[0])[:200]}
        return {"refused": steady(error.message)}
    except Exception as error:
        return {"crashed": type(error).__name__}


def lines(cases):
    return ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)


def main():
    with tempfile.TemporaryDirectory() as directory:
        tracking = TrackingStore(f"sqlite:///{directory}/tracking.db", f"{directory}/artifacts")
        registry = RegistryStore(f"sqlite:///{directory}/tracking.db")
        searches = {
            "run": (SearchUtils.parse_search_filter, lambda f, o: tracking.search_runs(["0"], f, ViewType.ALL, 10, o)),
            "experiment": (SearchExperimentsUtils.parse_search_filter, lambda f, o: tracking.search_experiments(ViewType.ALL, 10, f, o)),
            "registered_model": (SearchModelUtils.parse_search_filter, lambda f, o: registry.search_registered_models(f, 10, o)),
            "model_version": (SearchModelVersionUtils.parse_search_filter, lambda f, o: registry.search_model_versions(f, 10, o)),
            "logged_model": (search_logged_model_utils.parse_filter_string, lambda f, o: tracking.search_logged_models(["0"], f, order_by=o)),
            "trace": (SearchTraceUtils.parse_search_filter_for_search_traces, lambda f, o: tracking.search_traces(["0"], f, 10, o)),
            "evaluation_dataset": (SearchEvaluationDatasetsUtils.parse_search_filter, lambda f, o: tracking.search_datasets(["0"], f, 10, o)),
        }
        OUT.mkdir(parents=True, exist_ok=True)
        for entity, (parse, search) in searches.items():
            cases = []
            for text in dict.fromkeys(filters(entity)):

                def filtered(text=text):
                    search(text, None)
                    return {"accepted": comparisons(entity, text, parse)}

                cases.append([text, answer(filtered)])
            orders = []
            lists = [[name + direction] for name, direction in itertools.product(ORDER_NAMES, DIRECTIONS)] + ORDER_LISTS
            for order in [] if entity == "logged_model" else lists:

                def ordered(order=order):
                    search(None, order)
                    return {"accepted": len(order)}

                orders.append([order, answer(ordered)])
            with open(OUT / f"{entity}.json", "w") as file:
                file.write(f'{{"mlflow": "{mlflow.__version__}", "filters": [\n{lines(cases)}\n], "orders": [\n{lines(orders)}\n]}}\n')
            verdicts = [next(iter(answer)) for _, answer in cases + orders]
            print(entity, {verdict: verdicts.count(verdict) for verdict in set(verdicts)})


if __name__ == "__main__":
    main()

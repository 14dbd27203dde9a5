"""Identities, roles and tokens as people use them, and what they may not do even so."""

import json


def token(project, name: str, *roles: str) -> str:
    """Somebody new with roles, and a token of their own."""
    project.run("identity", "create", name, *[word for role in roles for word in ("--role", role)])
    return project.run("token", "create", name, "--label", "test", "--expires", "1h").stdout.strip()


def as_holder(project, own: str, *arguments: str, check: bool = True):
    """Runs a command with somebody's own token and no other claim."""
    return project.run(*arguments, check=check, LOOPWRIGHT_TOKEN=own, LOOPWRIGHT_ACTOR="")


def test_a_token_says_who_acts(server):
    project = server.project
    bea = token(project, "bea", "engineer")
    me = json.loads(as_holder(project, bea, "whoami", "--json").stdout)
    assert (me["actor"], me["proof"], me["identity"]["roles"]) == ("bea", "token", ["engineer"])
    as_holder(project, bea, "rollback", "churn", "--reason", "x", check=False)
    done = as_holder(project, bea, "run", "churn", "--as", "cy", check=False)
    assert done.returncode == 4 and "foreign-actor" in done.stderr
    done = as_holder(project, bea, "approve", "churn@1", "--reason", "mine", check=False)
    assert done.returncode == 4 and "role-missing" in done.stderr and "loopwright identity grant bea approver" in done.stderr
    owner = project.json("whoami")
    assert (owner["actor"], owner["proof"], owner["owner"]) == ("ana", "claim", True)


def test_an_author_does_not_approve_whatever_their_roles(project):
    project.run("apply")
    project.run("run", "churn")
    author = token(project, "ana", "engineer", "approver")
    done = as_holder(project, author, "approve", "churn@1", "--reason", "trust me", check=False)
    assert done.returncode == 4 and "approval-forbidden" in done.stderr
    bea = token(project, "bea", "approver")
    as_holder(project, bea, "approve", "churn@1", "--reason", "read the report")
    entry = project.json("audit", "log", "--action", "approval.grant")["items"][0]
    assert entry["actor"] == "bea"


def test_revoking_and_disabling_count_at_once(server):
    project = server.project
    shop = token(project, "service:shop", "predictor")
    row = {"customer_id": "c1", "plan": "free"}
    predict = "/api/v1/endpoints/churn/predict"
    assert server.call("POST", predict, row, token=shop)[0] == 200
    assert server.call("GET", "/api/v1/models", token=shop)[0] == 403
    project.run("identity", "disable", "service:shop")
    assert server.call("POST", predict, row, token=shop)[0] == 401
    project.run("identity", "enable", "service:shop")
    assert server.call("POST", predict, row, token=shop)[0] == 200
    listed = project.json("token", "list", "service:shop")["items"]
    project.run("token", "revoke", listed[0]["id"])
    assert server.call("POST", predict, row, token=shop)[0] == 401
    done = project.run("token", "create", "service:shop", "--expires", "400d", check=False)
    assert done.returncode == 2 and "bad-expiry" in done.stderr


def test_the_workspace_token_is_replaced_with_its_file(server):
    project = server.project
    file = project.root / ".loopwright" / "token"
    old = file.read_text().strip()
    local = next(item for item in project.json("token", "list")["items"] if item["purpose"] == "local")
    done = project.run("token", "revoke", local["id"], check=False)
    assert done.returncode == 2 and "workspace-token" in done.stderr
    server.stop()
    file.unlink()
    again = type(server)(project)
    try:
        assert file.read_text().strip() != old
        assert again.call("GET", "/api/v1/whoami", token=old)[0] == 401
        assert again.call("GET", "/api/v1/whoami")[0] == 200
    finally:
        again.kill()


def test_no_secret_is_written_down(server):
    project = server.project
    own = token(project, "bea", "viewer")
    secret = own.rsplit("_", 1)[1]
    assert secret not in project.run("audit", "export").stdout
    assert secret not in project.run("token", "list", "--json").stdout
    server.call("GET", "/api/v1/models", token=own + "0")
    server.stop()
    assert secret not in server.process.stderr.read()
    for file in (project.root / ".loopwright").glob("metadata.db*"):
        assert secret.encode() not in file.read_bytes(), file

"""Webhooks: made, changed, listed, deleted. Their delivery is tested with the server."""

import pytest
from mlflow_service import landing, refused

pytestmark = landing("webhooks")
ADDRESS = "https://93.184.216.34/hook"


def test_the_life_of_a_webhook(client):
    made = client.create_webhook("w", ADDRESS, events=["registered_model.created", "model_version.created"], description="d", secret="s")
    assert made.status == "ACTIVE" and made.url == ADDRESS and made.secret is None
    assert {str(event) for event in client.get_webhook(made.webhook_id).events} == {"registered_model.created", "model_version.created"}
    changed = client.update_webhook(made.webhook_id, name="v", description="e", status="DISABLED", events=["model_version_tag.set"])
    assert (changed.name, changed.description, str(changed.status)) == ("v", "e", "DISABLED")
    assert made.webhook_id in {one.webhook_id for one in client.list_webhooks(max_results=1000)}
    client.delete_webhook(made.webhook_id)
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.get_webhook(made.webhook_id)
    with refused("RESOURCE_DOES_NOT_EXIST"):
        client.delete_webhook(made.webhook_id)


@pytest.mark.parametrize(
    "address", ["http://93.184.216.34/h", "https://127.0.0.1/h", "https://10.1.2.3/h", "https://[::1]/h", "https://169.254.169.254/latest", "x"]
)
def test_addresses_that_are_refused(client, address):
    with refused("INVALID_PARAMETER_VALUE"):
        client.create_webhook("w", address, events=["registered_model.created"])


def test_pages(client):
    made = [client.create_webhook(f"w{number}", ADDRESS, events=["registered_model.created"]).webhook_id for number in range(3)]
    page = client.list_webhooks(max_results=2)
    rest = client.list_webhooks(max_results=2, page_token=page.token)
    assert len(page) == 2 and set(made) <= {one.webhook_id for one in [*page, *rest]} | {
        one.webhook_id for one in client.list_webhooks(max_results=1000)
    }
    for webhook_id in made:
        client.delete_webhook(webhook_id)

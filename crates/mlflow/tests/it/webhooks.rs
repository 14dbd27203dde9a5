use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{INVALID, MISSING, World, both, check, see_docs};

const URL: &str = "https://93.184.216.34/hook";

fn request(name: &str, url: &str) -> Value {
    let events = json!([{"entity": "REGISTERED_MODEL", "action": "CREATED"}, {"entity": 2, "action": 1}]);
    json!({"name": name, "url": url, "events": events, "secret": "s3cret"})
}

#[test]
fn webhooks_are_managed_as_mlflows_are() {
    both(async |world| {
        let made = world.post("webhooks", request("hook-1", URL)).await["webhook"].clone();
        let id = made["webhook_id"].as_str().unwrap();
        let at = made["creation_timestamp"].clone();
        let events =
            json!([{"entity": "REGISTERED_MODEL", "action": "CREATED"}, {"entity": "MODEL_VERSION", "action": "CREATED"}]);
        let want = json!({"webhook_id": id, "name": "hook-1", "url": URL, "events": events, "status": "ACTIVE",
            "creation_timestamp": at, "last_updated_timestamp": at});
        assert_eq!(made, want, "the secret is not told");
        assert_eq!(world.got(&format!("webhooks/{id}")).await["webhook"], want);
        let update = json!({"status": "DISABLED", "description": "quiet"});
        let updated = world.patch(&format!("webhooks/{id}"), update).await["webhook"].clone();
        assert_eq!((updated["status"].as_str(), updated["description"].as_str()), (Some("DISABLED"), Some("quiet")));
        assert_eq!(updated["name"], "hook-1");
        world.post("webhooks", request("hook-2", URL)).await;
        let page = world.got("webhooks?max_results=1").await;
        assert_eq!(page["webhooks"].as_array().unwrap().len(), 1);
        let token = page["next_page_token"].as_str().unwrap();
        let rest = world.got(&format!("webhooks?max_results=1&page_token={token}")).await;
        assert_eq!((rest["webhooks"].as_array().unwrap().len(), rest.get("next_page_token")), (1, None));
        assert_eq!(world.delete(&format!("webhooks/{id}"), json!({})).await, (StatusCode::OK, json!({})));
        let gone = format!("Webhook with ID {id} not found.");
        world.get_refused(&format!("webhooks/{id}"), 404, MISSING, &gone).await;
        world.refused(&format!("webhooks/{id}/test"), json!({}), 404, MISSING, &gone).await;
    });
}

#[test]
fn what_cannot_be_a_webhook_is_refused_in_mlflows_words() {
    both(async |world| {
        let refused = async |body: Value, message: &str| world.refused("webhooks", body, 400, INVALID, message).await;
        refused(json!({"url": URL}), &see_docs("Missing value for required parameter 'name'.")).await;
        refused(json!({"name": "a", "url": URL}), &see_docs("Missing value for required parameter 'events'.")).await;
        let scheme = "Invalid webhook URL scheme: 'http'. Allowed schemes are: https.";
        refused(request("a", "http://example.com"), scheme).await;
        let private = "Webhook URL must not resolve to a non-public IP address. '127.0.0.1' resolves to 127.0.0.1.";
        refused(request("a", "https://127.0.0.1/"), private).await;
        let name = "Webhook name '-a' is invalid. It must start and end with a letter or digit, be less than 63 characters long, and \
                    contain only letters, digits, dots (.), underscores (_), and hyphens (-).";
        refused(request("-a", URL), name).await;
        let events = json!([{"entity": "MODEL_VERSION", "action": "SET"}]);
        let action = "Invalid action 'set' for entity 'model_version'. Valid actions are: ['created']";
        refused(json!({"name": "a", "url": URL, "events": events}), action).await;
        let (status, answer) = world.get("webhooks?max_results=1001").await;
        check("list", (status, &answer), 400, INVALID, "max_results must be between 1 and 1000.");
        assert_eq!(world.got("webhooks").await, json!({}));
    });
}

/// Starts a receiver that answers once.
fn receiver() -> (String, std::sync::mpsc::Receiver<String>) {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, received) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut got = Vec::new();
        let mut part = [0; 4096];
        while !String::from_utf8_lossy(&got).contains("\"data\"") {
            let n_bytes = stream.read(&mut part).unwrap();
            got.extend(&part[..n_bytes]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nfine").unwrap();
        sender.send(String::from_utf8_lossy(&got).into_owned()).unwrap();
    });
    (url, received)
}

#[test]
fn a_test_sends_an_example_and_changes_are_delivered() {
    both(async |world: World| {
        let world = world.reaching_loopback();
        let (url, received) = receiver();
        let id = world.post("webhooks", request("hook", &url)).await["webhook"]["webhook_id"].as_str().unwrap().to_owned();
        let result = world.post(&format!("webhooks/{id}/test"), json!({})).await["result"].clone();
        assert_eq!(result, json!({"success": true, "response_status": 200, "response_body": "fine"}));
        let got = received.recv_timeout(std::time::Duration::from_secs(5)).unwrap();
        assert!(got.to_lowercase().contains("x-mlflow-signature: v1,") && got.contains("An example registered model"), "{got}");
        let (url, received) = receiver();
        world
            .patch(&format!("webhooks/{id}"), json!({"url": url, "events": [{"entity": "MODEL_VERSION", "action": "CREATED"}]}))
            .await;
        world.model("M").await;
        world.version("M").await;
        let ctx = lw_core::Ctx::real(lw_core::Actor::new("loopwright:webhooks"), "loop");
        assert_eq!(world.face.webhooks().deliver_due(&ctx).await.unwrap(), 1);
        let got = received.recv_timeout(std::time::Duration::from_secs(5)).unwrap();
        assert!(got.contains(r#""source":"s3://bucket/model""#), "{got}");
        let (status, answer) =
            world.call(Method::POST, &format!("webhooks/{id}/test"), json!({"event": {"entity": "NOPE"}})).await;
        assert_eq!((status.as_u16(), answer["error_code"].as_str()), (400, Some(INVALID)));
    });
}

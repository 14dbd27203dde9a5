use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use lw_core::{Ctx, ModelName, SimulatedClock, Span, Timestamp};
use lw_registry::{
    Attempt, BAD_WEBHOOK, EventKind, NewWebhook, PROMPT_TAG, Reach, Registry, WEBHOOK_NOT_FOUND, WebhookStatus, WebhookUpdate,
    Webhooks,
};
use lw_store::Store;
use lw_store::testing::both;

use crate::client_versions::from_client;
use crate::ctx;

/// What a receiver got.
struct Received {
    headers: String,
    body: serde_json::Value,
    raw: String,
}

impl Received {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A receiver that answers with these statuses, one a request, and keeps what it got.
fn receiver(statuses: &'static [u16]) -> (String, Receiver<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, received) = channel();
    std::thread::spawn(move || {
        for status in statuses {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut headers = String::new();
            while reader.read_line(&mut headers).unwrap() > 2 {}
            let length = headers.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            reader.read_exact(&mut body).unwrap();
            write!(stream, "HTTP/1.1 {status} Whatever\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").unwrap();
            let raw = String::from_utf8(body).unwrap();
            let body = serde_json::from_str(&raw).unwrap();
            if sender.send(Received { headers, body, raw }).is_err() {
                return;
            }
        }
    });
    (url, received)
}

fn new(url: &str, events: &[EventKind]) -> NewWebhook {
    NewWebhook {
        name: "hook-1".to_owned(),
        url: url.to_owned(),
        events: events.to_vec(),
        description: String::new(),
        status: WebhookStatus::Active,
        secret: None,
    }
}

fn later(ctx: &Ctx, seconds: i64) -> Ctx {
    let clock = SimulatedClock::at(ctx.now() + Span::from_secs(seconds));
    Ctx { clock: std::sync::Arc::new(clock), ..ctx.clone() }
}

async fn with_version(store: &Store) -> Registry {
    let registry = Registry::new(store.clone());
    let iris = ModelName::parse("Iris").unwrap();
    registry.create_model(&ctx("ana"), &iris, "Which?", [("a".to_owned(), "b".to_owned())].into()).await.unwrap();
    registry.register_of_client(&ctx("ana"), from_client(&iris)).await.unwrap();
    registry
}

#[test]
fn webhooks_are_kept_with_a_record_and_their_secret_is_never_told() {
    both(|store| async move {
        let (webhooks, ana) = (Webhooks::new(store.clone(), Reach::PUBLIC), ctx("ana"));
        let secret = Some("s3cret".to_owned());
        let made =
            webhooks.create(&ana, NewWebhook { secret, ..new("https://93.184.216.34/hook", &[EventKind::ModelCreated]) }).await;
        let made = made.unwrap();
        assert!(made.has_secret && made.id.len() == 36);
        assert_eq!(webhooks.get(&made.id).await.unwrap(), made);
        let update = WebhookUpdate { status: Some(WebhookStatus::Disabled), ..WebhookUpdate::default() };
        let updated = webhooks.update(&later(&ana, 1), &made.id, update).await.unwrap();
        assert_eq!((updated.status, updated.has_secret, updated.name.as_str()), (WebhookStatus::Disabled, true, "hook-1"));
        let page = webhooks.list(0, 10).await.unwrap();
        assert_eq!((page.webhooks.len(), page.has_more), (1, false));
        webhooks.delete(&ana, &made.id).await.unwrap();
        assert!(webhooks.get(&made.id).await.unwrap_err().is(WEBHOOK_NOT_FOUND));
        assert!(webhooks.delete(&ana, &made.id).await.unwrap_err().is(WEBHOOK_NOT_FOUND));
        let entries = store.entries(lw_store::EntryFilter::all()).await.unwrap();
        let actions: Vec<&str> = entries.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(actions, ["webhook.create", "webhook.update", "webhook.delete"]);
        assert!(!serde_json::to_string(&entries).unwrap().contains("s3cret"));
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn what_cannot_be_a_webhook_is_refused() {
    both(|store| async move {
        let (webhooks, ana) = (Webhooks::new(store.clone(), Reach::PUBLIC), ctx("ana"));
        let good = || new("https://93.184.216.34/hook", &[EventKind::ModelCreated]);
        for bad in [
            NewWebhook { name: "-x".to_owned(), ..good() },
            NewWebhook { name: String::new(), ..good() },
            NewWebhook { name: "n".repeat(64), ..good() },
            NewWebhook { url: "http://93.184.216.34/".to_owned(), ..good() },
            NewWebhook { url: "https://127.0.0.1/".to_owned(), ..good() },
            NewWebhook { url: "https://localhost/".to_owned(), ..good() },
            NewWebhook { url: "https://[::ffff:10.0.0.1]/".to_owned(), ..good() },
            NewWebhook { events: Vec::new(), ..good() },
        ] {
            let refused = webhooks.create(&ana, bad.clone()).await.unwrap_err();
            assert!(refused.is(BAD_WEBHOOK), "{bad:?}: {refused:?}");
        }
    });
}

#[test]
fn events_are_delivered_signed_and_once() {
    both(|store| async move {
        let (url, received) = receiver(&[200, 200]);
        let (webhooks, ana) = (Webhooks::new(store.clone(), Reach::LOOPBACK), ctx("ana"));
        let events = [EventKind::ModelCreated, EventKind::VersionCreated];
        webhooks.create(&ana, NewWebhook { secret: Some("s3cret".to_owned()), ..new(&url, &events) }).await.unwrap();
        let registry = with_version(&store).await;
        registry.set_version_tag(&ana, ModelName::parse("Iris").unwrap(), 1, "k", "v").await.unwrap();
        assert_eq!(webhooks.deliver_due(&ana).await.unwrap(), 2, "nobody asked to hear of tags");
        assert_eq!(webhooks.deliver_due(&ana).await.unwrap(), 0);
        let mut got: Vec<Received> = (0..2).map(|_| received.recv_timeout(Duration::from_secs(5)).unwrap()).collect();
        got.sort_by_key(|received| received.body["entity"].as_str().unwrap().to_owned());
        let version = &got[0].body;
        assert_eq!((version["entity"].as_str(), version["action"].as_str()), (Some("model_version"), Some("created")));
        assert_eq!(version["timestamp"], "2013-04-01T00:00:00+00:00");
        assert_eq!(
            version["data"],
            serde_json::json!({
                "name": "Iris", "version": "1", "source": "s3://bucket/model", "run_id": "r1", "tags": {"team": "delays"},
                "description": null,
            })
        );
        assert_eq!(got[1].body["data"], serde_json::json!({"name": "Iris", "tags": {"a": "b"}, "description": "Which?"}));
        for received in &got {
            let (id, seconds) =
                (received.header("x-mlflow-delivery-id").unwrap(), received.header("x-mlflow-timestamp").unwrap());
            assert_eq!(seconds, (Timestamp::parse("2013-04-01").unwrap().micros() / 1_000_000).to_string());
            assert_eq!(received.header("x-mlflow-signature").unwrap(), signed(id, seconds, &received.raw));
        }
    });
}

/// The signature, computed in another way than the product does.
fn signed(id: &str, seconds: &str, body: &str) -> String {
    use base64::Engine as _;
    use sha2::{Digest as _, Sha256};
    let key = |pad: u8| {
        let mut block = [pad; 64];
        b"s3cret".iter().zip(&mut block).for_each(|(byte, place)| *place ^= byte);
        block
    };
    let inner = Sha256::new().chain_update(key(0x36)).chain_update(format!("{id}.{seconds}.{body}")).finalize();
    let outer = Sha256::new().chain_update(key(0x5c)).chain_update(inner).finalize();
    format!("v1,{}", base64::engine::general_purpose::STANDARD.encode(outer))
}

#[test]
fn a_receiver_that_fails_is_asked_again_later() {
    both(|store| async move {
        let (url, received) = receiver(&[503, 200]);
        let (webhooks, ana) = (Webhooks::new(store.clone(), Reach::LOOPBACK), ctx("ana"));
        webhooks.create(&ana, new(&url, &[EventKind::VersionCreated])).await.unwrap();
        with_version(&store).await;
        assert_eq!(webhooks.deliver_due(&ana).await.unwrap(), 1);
        assert_eq!(webhooks.deliver_due(&ana).await.unwrap(), 0, "not before a pause");
        assert_eq!(webhooks.deliver_due(&later(&ana, 2)).await.unwrap(), 1);
        assert_eq!(webhooks.deliver_due(&later(&ana, 100_000)).await.unwrap(), 0);
        let ids: Vec<String> = (0..2)
            .map(|_| received.recv_timeout(Duration::from_secs(5)).unwrap().header("x-mlflow-delivery-id").unwrap().to_owned())
            .collect();
        assert_eq!(ids[0], ids[1], "the receiver can tell that it is the same delivery");
    });
}

#[test]
fn private_addresses_are_not_reached_even_if_a_name_leads_there() {
    both(|store| async move {
        let (url, received) = receiver(&[200]);
        let ana = ctx("ana");
        // The webhook was made where loopback is allowed, as a name would be whose address changes after it was checked.
        let url = url.replace("127.0.0.1", "localhost");
        let made =
            Webhooks::new(store.clone(), Reach::LOOPBACK).create(&ana, new(&url, &[EventKind::VersionCreated])).await.unwrap();
        let webhooks = Webhooks::new(store.clone(), Reach::PUBLIC);
        let attempt = webhooks.test(&ana, &made.id, None).await.unwrap();
        assert!(matches!(&attempt, Attempt::Blocked(why) if why.contains("is not a public IP address")), "{attempt:?}");
        with_version(&store).await;
        assert_eq!(webhooks.deliver_due(&ana).await.unwrap(), 1);
        assert_eq!(webhooks.deliver_due(&later(&ana, 100_000)).await.unwrap(), 0, "it is not tried again");
        assert!(received.recv_timeout(Duration::from_millis(200)).is_err());
    });
}

#[test]
fn a_test_sends_an_example_and_tells_what_came_of_it() {
    both(|store| async move {
        let (url, received) = receiver(&[418]);
        let (webhooks, ana) = (Webhooks::new(store.clone(), Reach::LOOPBACK), ctx("ana"));
        let made = webhooks.create(&ana, new(&url, &[EventKind::VersionCreated])).await.unwrap();
        let attempt = webhooks.test(&ana, &made.id, Some(EventKind::AliasCreated)).await.unwrap();
        assert_eq!(attempt, Attempt::Answered { status: 418, body: "ok".to_owned(), retry_after: None });
        assert!(!attempt.is_success());
        let got = received.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(
            (got.body["entity"].as_str(), got.body["data"]["alias"].as_str()),
            (Some("model_version_alias"), Some("example_alias"))
        );
        assert_eq!(got.header("x-mlflow-signature"), None, "without a secret nothing is signed");
    });
}

#[test]
fn prompts_have_events_of_their_own_and_what_waits_for_a_deleted_webhook_is_dropped() {
    both(|store| async move {
        let (webhooks, ana) = (Webhooks::new(store.clone(), Reach::LOOPBACK), ctx("ana"));
        let (url, received) = receiver(&[200]);
        webhooks.create(&ana, new(&url, &[EventKind::PromptCreated])).await.unwrap();
        let gone = webhooks.create(&ana, new("http://127.0.0.1:9/", &[EventKind::PromptCreated])).await.unwrap();
        let registry = Registry::new(store.clone());
        let tags = [(PROMPT_TAG, "true"), ("team", "words")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        registry.create_model(&ana, ModelName::parse("greeting").unwrap(), "", tags.into()).await.unwrap();
        webhooks.delete(&ana, &gone.id).await.unwrap();
        assert_eq!(webhooks.deliver_due(&ana).await.unwrap(), 2);
        assert_eq!(webhooks.deliver_due(&later(&ana, 100_000)).await.unwrap(), 0);
        let got = received.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(got.body["entity"], "prompt");
        assert_eq!(got.body["data"], serde_json::json!({"name": "greeting", "tags": {"team": "words"}, "description": ""}));
    });
}

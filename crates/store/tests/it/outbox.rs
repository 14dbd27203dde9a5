use std::sync::Arc;

use lw_core::{Actor, Ctx, SimulatedClock, Span, Timestamp};
use lw_store::BAD_TEXT;
use lw_store::testing::both;
use serde_json::json;

#[test]
fn a_message_leaves_once_and_comes_back_if_its_worker_dies() {
    both(|store| async move {
        let clock = Arc::new(SimulatedClock::at(Timestamp::from_millis(0)));
        let ctx = Ctx { clock: clock.clone(), ..Ctx::real(Actor::new("loopwright:worker"), "r") };
        let lease = Span::from_secs(60);
        let put =
            async |key: &'static str| store.write(&ctx, move |tx| tx.outbox("train", key, &json!({"key": key}))).await.unwrap();
        assert!(put("b").await);
        assert!(put("a").await);
        assert!(!put("b").await, "a second message with the same key is not new");
        let lost = store.write(&ctx, |tx| {
            tx.outbox("train", "c", &json!({}))?;
            Err::<(), _>(BAD_TEXT.error("on purpose"))
        });
        assert!(lost.await.is_err());

        let claim = async || {
            let messages = store.write(&ctx, move |tx| tx.outbox_claim("train", 10, lease)).await.unwrap();
            messages.into_iter().map(|message| (message.dedupe_key.clone(), message)).unzip::<_, _, Vec<String>, Vec<_>>()
        };
        let (keys, messages) = claim().await;
        assert_eq!(keys, ["b", "a"]);
        assert_eq!(messages[0].payload, json!({"key": "b"}));
        assert!(claim().await.0.is_empty(), "claimed messages are held");
        let done = messages[0].clone();
        store.write(&ctx, move |tx| tx.outbox_done(&done)).await.unwrap();
        clock.set(Timestamp::from_millis(60_000));
        assert_eq!(claim().await.0, ["a"], "the lease of the other one has passed");
        clock.set(Timestamp::from_millis(999_000));
        assert!(!put("b").await, "a delivered message is not sent again");
        assert_eq!(claim().await.0, ["a"]);
    });
}

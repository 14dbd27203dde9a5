use std::collections::BTreeMap;

use lw_core::{ModelName, Subject, SubjectKind};
use lw_registry::{
    Alias, BAD_MODEL_TAG, BAD_STAGE, ClientVersion, MODEL_NOT_FOUND, MODEL_VERSION_NOT_FOUND, Origin, Registry, Stage,
};
use lw_store::testing::both;
use lw_store::{EntryFilter, Mention, Store};

use crate::{ctx, model, new_version, with_model};

fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// What a client registers: always the same content.
pub fn from_client(name: &ModelName) -> ClientVersion {
    let source = "s3://bucket/model".to_owned();
    let origin = Origin { location: source.clone(), source, run: "r1".to_owned(), ..Origin::default() };
    let new = lw_registry::NewVersion { model: name.clone(), ..new_version(1) };
    ClientVersion { new, origin, description: Some(String::new()), tags: tags(&[("team", "delays")]) }
}

async fn register(registry: &Registry) -> u64 {
    registry.register_of_client(&ctx("ana"), from_client(&model())).await.unwrap().version.version
}

async fn registered(store: &Store) -> Registry {
    let registry = with_model(store).await;
    register(&registry).await;
    registry
}

#[test]
fn each_registration_of_a_client_is_a_version() {
    both(|store| async move {
        let registry = registered(&store).await;
        let second = registry.register_of_client(&ctx("ana"), from_client(&model())).await.unwrap();
        assert_eq!(second.version.version, 2);
        assert_eq!(second.version.origin.source, "s3://bucket/model");
        assert_eq!((second.state.stage, second.state.description.as_deref()), (Stage::None, Some("")));
        assert_eq!(second.tags, tags(&[("team", "delays")]));
        assert_eq!(registry.version_record(model(), 2).await.unwrap(), second);
        let first = registry.version(model(), 1).await.unwrap();
        assert_eq!(first.digest, second.version.digest, "the same content has the same digest");
        let mut stray = from_client(&model());
        stray.tags = tags(&[("a//b", "x")]);
        assert!(registry.register_of_client(&ctx("ana"), stray).await.unwrap_err().is(BAD_MODEL_TAG));
        let elsewhere = from_client(&ModelName::parse("No such model").unwrap());
        assert!(registry.register_of_client(&ctx("ana"), elsewhere).await.unwrap_err().is(MODEL_NOT_FOUND));
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn a_deleted_version_is_not_found_and_keeps_its_number() {
    both(|store| async move {
        let registry = registered(&store).await;
        let ana = ctx("ana");
        let alias = Alias::parse("tried").unwrap();
        registry.set_alias(&ana, model(), &alias, 1).await.unwrap();
        registry.delete_version(&ana, model(), 1).await.unwrap();
        assert!(registry.version(model(), 1).await.unwrap_err().is(MODEL_VERSION_NOT_FOUND));
        assert!(registry.delete_version(&ana, model(), 1).await.unwrap_err().is(MODEL_VERSION_NOT_FOUND));
        assert!(registry.set_version_tag(&ana, model(), 1, "a", "b").await.unwrap_err().is(MODEL_VERSION_NOT_FOUND));
        assert_eq!(registry.aliases(model()).await.unwrap(), []);
        assert_eq!(registry.latest_version(model()).await.unwrap(), None);
        assert_eq!(register(&registry).await, 2);
        // A pipeline that makes the same content again gets a version that stands.
        let again = registry.register(&ana, new_version(1)).await.unwrap();
        assert_eq!(again.version, 2);
        let subject = Subject::new(SubjectKind::ModelVersion, model(), 1);
        let entries = store.entries(EntryFilter::about(subject, Mention::Subject)).await.unwrap();
        let actions: Vec<&str> = entries.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(actions, ["model_version.register", "alias.set", "model_version.delete"]);
        assert_eq!(entries[0].payload["origin"]["source"], "s3://bucket/model", "the ledger keeps what answers do not tell");
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn stages_move_and_send_others_to_the_archive() {
    both(|store| async move {
        let registry = registered(&store).await;
        for _ in 0..2 {
            register(&registry).await;
        }
        let ana = ctx("ana");
        registry.set_stage(&ana, model(), 1, Stage::Production, false).await.unwrap();
        registry.set_stage(&ana, model(), 2, Stage::Production, false).await.unwrap();
        let third = registry.set_stage(&ana, model(), 3, Stage::Production, true).await.unwrap();
        assert_eq!(third.state.stage, Stage::Production);
        for version in [1, 2] {
            assert_eq!(registry.version_record(model(), version).await.unwrap().state.stage, Stage::Archived);
        }
        let latest = registry.latest_in_stages(model(), &[]).await.unwrap();
        let shown: Vec<_> = latest.iter().map(|record| (record.version.version, record.state.stage)).collect();
        assert_eq!(shown, [(2, Stage::Archived), (3, Stage::Production)]);
        assert_eq!(registry.latest_in_stages(model(), &[Stage::Staging]).await.unwrap(), []);
        let refused = registry.set_stage(&ana, model(), 1, Stage::Archived, true).await.unwrap_err();
        assert!(refused.is(BAD_STAGE));
        let latest = Alias::parse_reserved("latest").unwrap();
        assert_eq!(registry.record_by_alias(model(), &latest).await.unwrap().version.version, 3);
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn descriptions_and_tags_are_rows_of_their_own() {
    both(|store| async move {
        let registry = registered(&store).await;
        let ana = ctx("ana");
        let before = registry.version(model(), 1).await.unwrap();
        registry.describe_version(&ana, model(), 1, Some("Better".to_owned())).await.unwrap();
        registry.set_version_tag(&ana, model(), 1, "team", "planes").await.unwrap();
        registry.set_version_tag(&ana, model(), 1, "team", "planes").await.unwrap();
        registry.set_version_tag(&ana, model(), 1, "text", &"x".repeat(5000)).await.unwrap();
        registry.remove_version_tag(&ana, model(), 1, "none").await.unwrap();
        let record = registry.version_record(model(), 1).await.unwrap();
        assert_eq!(record.state.description.as_deref(), Some("Better"));
        assert_eq!((record.tags["team"].as_str(), record.tags["text"].len()), ("planes", 5000));
        assert_eq!(record.version, before, "the version itself never changes");
        let entries = store.entries(EntryFilter::all().action("model_version.*")).await.unwrap();
        assert_eq!(entries.len(), 4, "what changes nothing is not recorded");
        assert!(entries[3].payload["value"]["digest"].is_string(), "long values stand in the ledger by their digest");
        registry.remove_version_tag(&ana, model(), 1, "text").await.unwrap();
        assert_eq!(registry.describe_version(&ana, model(), 1, None).await.unwrap().state.description, None);
        assert!(store.verify().await.unwrap().is_sound());
    });
}

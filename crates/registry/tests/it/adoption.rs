use std::collections::BTreeMap;

use lw_core::{ModelName, Timestamp};
use lw_registry::{
    AdoptedModel, AdoptedVersion, Alias, MODEL_PROTECTED, MODEL_VERSION_NOT_FOUND, Protection, Registry, Stage, VERSION_TAKEN,
    protect_in,
};
use lw_store::testing::both;

use crate::client_versions::from_client;
use crate::{ctx, model, new_version, with_model};

const SOURCE: &str = "http://old.example.org:5000";

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn wanted_model(name: ModelName) -> AdoptedModel {
    let tags = BTreeMap::from([("team".to_owned(), "air".to_owned())]);
    let (created_at, updated_at) = (at(1000), at(2000));
    AdoptedModel { name, description: "Late?".to_owned(), created_at, updated_at, tags, source: SOURCE.to_owned() }
}

fn wanted(version: u64, stage: Stage) -> AdoptedVersion {
    let mut client = from_client(&model());
    client.tags.insert("note".to_owned(), "old".to_owned());
    let (registered_at, updated_at) = (at(3000), at(4000));
    AdoptedVersion { wanted: client, version, stage, registered_at, updated_at, source: SOURCE.to_owned() }
}

#[test]
fn versions_keep_their_numbers_stages_and_times() {
    both(|store| async move {
        let (registry, ana) = (Registry::new(store.clone()), ctx("ana"));
        assert!(registry.adopt_model(&ana, wanted_model(model())).await.unwrap());
        assert!(!registry.adopt_model(&ana, wanted_model(model())).await.unwrap());
        for (version, stage) in [(2, Stage::Archived), (5, Stage::Production)] {
            assert!(registry.adopt_version(&ana, wanted(version, stage)).await.unwrap());
            assert!(!registry.adopt_version(&ana, wanted(version, stage)).await.unwrap());
        }
        let record = registry.model_record(model()).await.unwrap();
        assert_eq!((record.model.created_at, record.model.updated_at, record.tags["team"].as_str()), (at(1000), at(2000), "air"));
        let version = registry.version_record(model(), 5).await.unwrap();
        assert_eq!(
            (version.state.stage, version.version.registered_at, version.state.updated_at),
            (Stage::Production, at(3000), at(4000))
        );
        assert_eq!(version.tags["note"], "old");
        assert!(registry.version(model(), 3).await.unwrap_err().is(MODEL_VERSION_NOT_FOUND));
        registry.set_alias(&ana, model(), &Alias::parse("best").unwrap(), 2).await.unwrap();

        // The next version goes on behind the last; one that is deleted here stays deleted.
        assert_eq!(registry.register(&ana, new_version(9)).await.unwrap().version, 6);
        registry.delete_version(&ana, model(), 2).await.unwrap();
        assert!(!registry.adopt_version(&ana, wanted(2, Stage::Archived)).await.unwrap());
        assert!(registry.version(model(), 2).await.unwrap_err().is(MODEL_VERSION_NOT_FOUND));
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn numbers_and_stages_of_our_own_stand_above_an_import() {
    both(|store| async move {
        let (registry, ana) = (with_model(&store).await, ctx("ana"));
        registry.register(&ana, new_version(1)).await.unwrap();
        assert!(!registry.adopt_model(&ana, wanted_model(model())).await.unwrap());
        let record = registry.model_record(model()).await.unwrap();
        assert_eq!((record.model.description.as_str(), record.tags["team"].as_str()), ("Will it be late?", "air"));
        assert!(registry.adopt_version(&ana, wanted(1, Stage::None)).await.unwrap_err().is(VERSION_TAKEN));

        let protect = |tx: &mut lw_store::Tx<'_>| protect_in(tx, &[(model(), Protection::defined(true, []))]);
        store.write(&ana, protect).await.unwrap();
        assert!(registry.adopt_version(&ana, wanted(2, Stage::Production)).await.unwrap_err().is(MODEL_PROTECTED));
        assert!(registry.adopt_version(&ana, wanted(2, Stage::Staging)).await.unwrap());
        assert!(store.verify().await.unwrap().is_sound());
    });
}

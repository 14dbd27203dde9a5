use std::collections::BTreeMap;

use lw_core::ModelName;
use lw_registry::{Alias, BAD_MODEL_TAG, MODEL_EXISTS, MODEL_NOT_FOUND, PROMPT_TAG, Registry, Stage};
use lw_store::EntryFilter;
use lw_store::testing::both;

use crate::client_versions::from_client;
use crate::{ctx, gates, new_version, with_model, with_report};

fn name(text: &str) -> ModelName {
    ModelName::parse(text).unwrap()
}

#[test]
fn a_client_makes_models_with_names_and_tags_of_its_own() {
    both(|store| async move {
        let (registry, ana) = (Registry::new(store.clone()), ctx("ana"));
        let iris = name("Iris classifier (v2)");
        let tags = BTreeMap::from([("team".to_owned(), "flowers".to_owned())]);
        registry.create_model(&ana, &iris, "Which flower?", tags.clone()).await.unwrap();
        assert!(registry.create_model(&ana, &iris, "", BTreeMap::new()).await.unwrap_err().is(MODEL_EXISTS));
        let bad = BTreeMap::from([("a//b".to_owned(), String::new())]);
        assert!(registry.create_model(&ana, name("x"), "", bad).await.unwrap_err().is(BAD_MODEL_TAG));
        registry.set_model_tag(&ana, &iris, "team", "plants").await.unwrap();
        registry.set_model_tag(&ana, &iris, "stage", "try").await.unwrap();
        registry.remove_model_tag(&ana, &iris, "stage").await.unwrap();
        registry.describe_model(&ana, &iris, "Which?").await.unwrap();
        let record = registry.model_record(&iris).await.unwrap();
        assert_eq!((record.model.owner.as_str(), record.model.description.as_str()), ("ana", "Which?"));
        assert_eq!(record.tags["team"], "plants");
        assert!(registry.set_model_tag(&ana, name("none"), "a", "b").await.unwrap_err().is(MODEL_NOT_FOUND));
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn prompts_are_models_that_lists_of_models_leave_out() {
    both(|store| async move {
        let (registry, ana) = (Registry::new(store.clone()), ctx("ana"));
        let prompt = BTreeMap::from([(PROMPT_TAG.to_owned(), "true".to_owned())]);
        registry.create_model(&ana, name("greeting"), "", prompt).await.unwrap();
        registry.create_model(&ana, name("iris"), "", BTreeMap::new()).await.unwrap();
        let listed = registry.models(None, 10).await.unwrap();
        assert_eq!(listed.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), ["iris"]);
        assert!(registry.is_prompt(name("greeting")).await.unwrap() && !registry.is_prompt(name("iris")).await.unwrap());
    });
}

#[test]
fn a_deleted_model_goes_with_all_its_rows_and_its_name_is_free() {
    both(|store| async move {
        let registry = with_model(&store).await;
        let (ana, model) = (ctx("ana"), crate::model());
        with_report(&registry, 1, 0.5, None).await;
        registry.decide_gates(&ana, &model, 1, &gates()).await.unwrap();
        registry.register_of_client(&ana, from_client(&model)).await.unwrap();
        registry.set_model_tag(&ana, &model, "a", "b").await.unwrap();
        registry.set_alias(&ana, &model, &Alias::challenger(), 2).await.unwrap();
        registry.delete_model(&ana, &model).await.unwrap();
        assert!(registry.model(&model).await.unwrap_err().is(MODEL_NOT_FOUND));
        assert!(registry.delete_model(&ana, &model).await.unwrap_err().is(MODEL_NOT_FOUND));
        for table in [
            "model_tag",
            "model_version",
            "model_version_state",
            "model_version_tag",
            "model_report",
            "gate_decision",
            "model_alias",
        ] {
            let sql = format!("SELECT COUNT(*) AS n FROM {table}");
            let n_rows = store.read(move |reader| reader.query_opt(&sql, &[])?.unwrap().count("n")).await.unwrap();
            assert_eq!(n_rows, 0, "{table}");
        }
        let removed = store.entries(EntryFilter::all().action("model_version.remove")).await.unwrap();
        assert_eq!(removed.len(), 2);
        with_model(&store).await;
        assert_eq!(registry.register(&ana, new_version(7)).await.unwrap().version, 1);
        assert_eq!(registry.gate_decision(&model, 1).await.unwrap(), None, "the new version 1 has no past");
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn a_renamed_model_takes_everything_along() {
    both(|store| async move {
        let registry = with_model(&store).await;
        let (ana, model, other) = (ctx("ana"), crate::model(), name("Arrivals, late"));
        let made = with_report(&registry, 1, 0.5, None).await;
        registry.decide_gates(&ana, &model, 1, &gates()).await.unwrap();
        let report = registry.report(&model, 1).await.unwrap().unwrap().report;
        registry.approve(&ctx("bo"), &model, 1, &report, "fine").await.unwrap();
        registry.set_stage(&ana, &model, 1, Stage::Staging, false).await.unwrap();
        registry.set_version_tag(&ana, &model, 1, "a", "b").await.unwrap();
        registry.set_alias(&ana, &model, &Alias::challenger(), 1).await.unwrap();
        let record = registry.rename_model(&ana, &model, &other).await.unwrap();
        assert_eq!((record.model.name.as_str(), record.aliases.len(), record.latest.len()), (other.as_str(), 1, 1));
        assert!(registry.model(&model).await.unwrap_err().is(MODEL_NOT_FOUND));
        let renamed = registry.version_record(&other, 1).await.unwrap();
        assert_eq!((renamed.version.digest, renamed.state.stage), (made.digest, Stage::Staging));
        assert_eq!((renamed.tags["a"].as_str(), renamed.aliases.len()), ("b", 1));
        assert!(registry.report(&other, 1).await.unwrap().is_some());
        assert!(registry.gate_decision(&other, 1).await.unwrap().is_some());
        assert_eq!(registry.approvals(&other, 1).await.unwrap().len(), 1);
        assert_eq!(registry.rename_model(&ana, &other, &other).await.unwrap().model.name, other);
        registry.create_model(&ana, name("taken"), "", BTreeMap::new()).await.unwrap();
        assert!(registry.rename_model(&ana, &other, name("taken")).await.unwrap_err().is(MODEL_EXISTS));
        assert!(store.verify().await.unwrap().is_sound());
    });
}

use std::collections::BTreeMap;

use lw_core::ModelName;
use lw_registry::{PROMPT_TAG, Registry, Stage, Wanted};
use lw_search::{Comparator, Comparison, Condition, Direction, Field, Literal, Number, OrderBy};
use lw_store::Store;
use lw_store::testing::both;

use crate::client_versions::from_client;
use crate::ctx;

fn compare(field: Field, comparator: Comparator, value: Literal) -> Condition {
    Condition::Compare(Comparison { field, comparator, value })
}

fn text(field: Field, comparator: Comparator, value: &str) -> Condition {
    compare(field, comparator, Literal::Text(value.to_owned()))
}

fn tag(key: &str) -> Field {
    Field::Tag(key.to_owned())
}

const NAME: Field = Field::Attribute("name");

fn wanted(filter: Option<Condition>) -> Wanted {
    Wanted { filter, order: Vec::new(), offset: 0, limit: 100 }
}

/// Two models with versions, and a prompt.
async fn stocked(store: &Store) -> Registry {
    let (registry, ana) = (Registry::new(store.clone()), ctx("ana"));
    for (name, tags) in [("Iris", vec![("team", "flowers")]), ("arrivals", vec![]), ("greeting", vec![(PROMPT_TAG, "true")])] {
        let tags: BTreeMap<String, String> = tags.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let name = ModelName::parse(name).unwrap();
        registry.create_model(&ana, &name, "", tags.clone()).await.unwrap();
        for _ in 0..2 {
            let mut version = from_client(&name);
            version.tags.extend(tags.clone().into_iter().filter(|(key, _)| key == PROMPT_TAG));
            registry.register_of_client(&ana, version).await.unwrap();
        }
    }
    registry
}

async fn models(registry: &Registry, wanted: Wanted) -> Vec<String> {
    let found = registry.search_models(wanted).await.unwrap();
    found.items.into_iter().map(|record| record.model.name.to_string()).collect()
}

async fn versions(registry: &Registry, wanted: Wanted) -> Vec<String> {
    let found = registry.search_versions(wanted).await.unwrap();
    found.items.into_iter().map(|record| record.version.label()).collect()
}

#[test]
fn models_are_found_by_name_and_tag_and_prompts_only_when_asked_for() {
    both(|store| async move {
        let registry = stocked(&store).await;
        let mut all = models(&registry, wanted(None)).await;
        all.sort();
        assert_eq!(all, ["Iris", "arrivals"]);
        let by = |condition| models(&registry, wanted(Some(condition)));
        assert_eq!(by(text(NAME, Comparator::Like, "Ir%")).await, ["Iris"]);
        assert_eq!(by(text(NAME, Comparator::Like, "ir%")).await, [""; 0]);
        assert_eq!(by(text(NAME, Comparator::ILike, "ir%")).await, ["Iris"]);
        assert_eq!(by(text(NAME, Comparator::NotEqual, "Iris")).await, ["arrivals"]);
        assert_eq!(by(text(tag("team"), Comparator::Equal, "flowers")).await, ["Iris"]);
        assert_eq!(by(text(tag("team"), Comparator::NotEqual, "x")).await, ["Iris"], "a comparison needs the tag");
        assert_eq!(by(text(tag(PROMPT_TAG), Comparator::Equal, "true")).await, ["greeting"]);
        for (comparator, value) in [(Comparator::Equal, "false"), (Comparator::NotEqual, "true")] {
            let no_prompt = text(tag(PROMPT_TAG), comparator, value);
            assert_eq!(by(no_prompt.clone()).await.len(), 2, "models without the tag are no prompts");
            let and = Condition::All(vec![no_prompt, text(NAME, Comparator::Equal, "Iris")]);
            assert_eq!(by(and).await, ["Iris"]);
        }
    });
}

#[test]
fn models_come_in_pages_with_their_details() {
    both(|store| async move {
        let registry = stocked(&store).await;
        registry.set_stage(&ctx("ana"), ModelName::parse("Iris").unwrap(), 1, Stage::Production, false).await.unwrap();
        let order = vec![OrderBy { field: NAME, direction: Direction::Descending }];
        let mut names = Vec::new();
        for offset in 0..2 {
            let page = registry.search_models(Wanted { filter: None, order: order.clone(), offset, limit: 1 }).await.unwrap();
            assert_eq!((page.items.len(), page.has_more), (1, offset == 0));
            names.extend(page.items);
        }
        let iris = names.iter().find(|record| record.model.name.as_str() == "Iris").unwrap();
        assert_eq!(iris.tags["team"], "flowers");
        let latest: Vec<_> = iris.latest.iter().map(|record| (record.version.version, record.state.stage)).collect();
        assert_eq!(latest, [(1, Stage::Production), (2, Stage::None)]);
        assert_eq!(iris.latest[0].tags["team"], "delays");
        let one_by_one = registry.model_record(&iris.model.name).await.unwrap();
        assert_eq!((&one_by_one.tags, one_by_one.latest.len()), (&iris.tags, 2));
    });
}

#[test]
fn versions_are_found_by_what_they_are() {
    both(|store| async move {
        let registry = stocked(&store).await;
        let iris = || text(NAME, Comparator::Equal, "Iris");
        let by = |condition| versions(&registry, wanted(Some(condition)));
        assert_eq!(by(iris()).await, ["Iris@2", "Iris@1"], "the newest first");
        let number =
            |comparator, value| compare(Field::Attribute("version_number"), comparator, Literal::Number(Number::Int(value)));
        assert_eq!(by(Condition::All(vec![iris(), number(Comparator::Less, 2)])).await, ["Iris@1"]);
        assert_eq!(by(text(Field::Attribute("run_id"), Comparator::Equal, "r1")).await.len(), 4);
        assert_eq!(by(text(Field::Attribute("run_id"), Comparator::NotEqual, "r2")).await.len(), 4);
        assert_eq!(by(text(Field::Attribute("source_path"), Comparator::Like, "s3://%")).await.len(), 4);
        let in_names = compare(NAME, Comparator::In, Literal::Texts(vec!["Iris".to_owned(), "greeting".to_owned()]));
        assert_eq!(by(in_names).await, ["Iris@2", "Iris@1"]);
        assert_eq!(by(text(tag(PROMPT_TAG), Comparator::Equal, "true")).await, ["greeting@2", "greeting@1"]);
        registry.delete_version(&ctx("ana"), ModelName::parse("Iris").unwrap(), 2).await.unwrap();
        assert_eq!(by(iris()).await, ["Iris@1"]);
        let order = vec![
            OrderBy { field: NAME, direction: Direction::Ascending },
            OrderBy { field: Field::Attribute("version_number"), direction: Direction::Ascending },
        ];
        let page = Wanted { filter: Some(text(tag("team"), Comparator::Equal, "delays")), order, offset: 1, limit: 1 };
        let found = registry.search_versions(page).await.unwrap();
        assert_eq!((found.items.len(), found.has_more), (1, true));
        assert_eq!(found.items[0].tags["team"], "delays");
    });
}

#[test]
fn many_versions_come_with_their_tags() {
    both(|store| async move {
        let registry = stocked(&store).await;
        let (ana, iris) = (ctx("ana"), ModelName::parse("Iris").unwrap());
        for _ in 0..30 {
            registry.register_of_client(&ana, from_client(&iris)).await.unwrap();
        }
        let found = registry.search_versions(wanted(None)).await.unwrap();
        assert_eq!(found.items.len(), 34);
        assert!(found.items.iter().all(|record| record.tags["team"] == "delays"));
    });
}

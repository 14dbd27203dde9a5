use lw_core::Span;
use lw_features::failures::UNKNOWN_FEATURE_VIEW;
use lw_features::{find_view, newest_views};
use lw_store::{EntryFilter, testing};

use crate::fixtures::{carrier_delays, name, register};

#[test]
fn a_view_gets_a_new_version_only_when_its_definition_changes() {
    testing::both(|store| async move {
        let first = register(&store, &carrier_delays()).await;
        let again = register(&store, &carrier_delays()).await;
        assert_eq!((first.version, &again), (1, &first));

        let mut changed = carrier_delays();
        changed.ttl = Some(Span::from_hours(48));
        let second = register(&store, &changed).await;
        assert_eq!(second.version, 2);
        assert_eq!(find_view(&store, &name("carrier_delays"), None).await.unwrap(), second);
        assert_eq!(find_view(&store, &name("carrier_delays"), Some(1)).await.unwrap(), first);
        assert_eq!(newest_views(&store).await.unwrap(), [second]);

        let entries = store.entries(EntryFilter::all()).await.unwrap();
        let mut actions: Vec<String> = entries.iter().map(|entry| format!("{} {}", entry.action, entry.subject)).collect();
        actions.sort();
        let wanted =
            ["feature_view.register feature_view/carrier_delays@1", "feature_view.register feature_view/carrier_delays@2"];
        assert_eq!(actions, wanted);
        assert!(entries.iter().all(|entry| entry.inputs[0].subject.to_string() == "table/flights"));
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn an_unknown_view_is_an_error_with_its_name() {
    testing::both(|store| async move {
        let error = find_view(&store, &name("nowhere"), Some(3)).await.unwrap_err();
        assert!(error.is(UNKNOWN_FEATURE_VIEW));
        assert_eq!(error.message(), "there is no feature view `nowhere@3`");
    });
}

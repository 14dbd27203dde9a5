use lw_core::Name;
use lw_governance::{Answers, NOTHING_TO_EXPLAIN, why};
use lw_store::Store;
use lw_store::testing::both;

use crate::{approve, attach, deploy, digest, make_version, promote, register_view, training_set, version, view};

async fn ask(store: &Store, number: Option<u64>) -> Answers {
    why(store, &Name::parse("late_arrival").unwrap(), number).await.unwrap()
}

/// Version 1 serves, version 2 is its canary; version 2 has more data, another parameter and better figures.
async fn two_versions(store: &Store) {
    register_view(store).await;
    make_version(store, 1, 1.0, 0.70).await;
    approve(store, 1, 0.70, "bo", "approval.grant").await;
    promote(store, 1, None).await;
    deploy(store, "late_arrival", 1, 1, None).await;
    make_version(store, 2, 0.5, 0.75).await;
    deploy(store, "late_arrival", 2, 1, Some(2)).await;
}

#[test]
fn the_five_answers_are_given_with_their_evidence() {
    both(|store| async move {
        two_versions(&store).await;
        let answers = ask(&store, None).await;
        assert_eq!(answers.version.version, 1, "without a version the running champion is explained");
        assert_eq!((answers.version.digest, answers.version.author.as_str()), (Some(digest("version 1")), "ana"));
        let running: Vec<_> = answers.running.iter().map(|fact| (fact.version, fact.role.as_str(), fact.generation)).collect();
        assert_eq!(running, [(1, "champion", Some(2)), (2, "canary 10%", Some(2))]);
        let data: Vec<String> = answers.data.iter().map(|fact| fact.subject.to_string()).collect();
        assert_eq!(data, ["training_set/late_arrival@1", "table/flights@1", "source/flights@1"]);
        assert_eq!(answers.data[0].subject, training_set(1));
        assert_eq!((answers.data[0].digest, &answers.data[0].details["n_rows"]), (Some(digest("set 1")), &900.into()));
        assert_eq!(answers.features.len(), 1);
        let feature = &answers.features[0];
        assert_eq!((&feature.view, feature.digest), (&view(1), Some(digest("view"))));
        assert_eq!(feature.features, ["carrier_delay_24h"]);
        assert_eq!(answers.approvals.len(), 1);
        assert_eq!((answers.approvals[0].by.as_str(), answers.approvals[0].is_current), ("bo", true));
        assert_eq!(answers.since, None);

        let since: Vec<_> = answers.running.iter().map(|fact| (fact.version, fact.since_seq, fact.seq)).collect();
        assert_eq!(since, [(1, 8, 13), (2, 13, 13)], "a canary beside it is no new beginning for the champion");

        // The view, the table, the training set, the registration, the approval and both deployments.
        assert_eq!(answers.evidence(), [1, 2, 3, 4, 6, 8, 13]);
        let json = serde_json::to_value(&answers).unwrap();
        assert_eq!(serde_json::from_value::<Answers>(json).unwrap(), answers);
    });
}

#[test]
fn what_changed_is_named_place_by_place() {
    both(|store| async move {
        two_versions(&store).await;
        let since = ask(&store, Some(2)).await.since.unwrap();
        assert_eq!(since.version, 1);
        let paths = |differences: &[lw_governance::Difference]| -> Vec<String> {
            differences.iter().map(|difference| difference.path.clone()).collect()
        };
        assert_eq!(paths(&since.recipe), ["recipe.params.l2"]);
        assert_eq!(paths(&since.data), ["table/flights", "training_set/late_arrival"]);
        assert!(since.features.is_empty());
        assert_eq!(paths(&since.metrics), ["auc"]);
        assert_eq!(since.metrics[0].after, Some(0.75.into()));
    });
}

#[test]
fn a_promoted_version_is_compared_with_the_champion_it_replaced() {
    both(|store| async move {
        two_versions(&store).await;
        make_version(&store, 3, 0.5, 0.76).await;
        promote(&store, 3, Some(1)).await;
        assert_eq!(ask(&store, Some(3)).await.since.unwrap().version, 1);
        assert_eq!(ask(&store, Some(2)).await.since.unwrap().version, 1);
    });
}

#[test]
fn an_approval_of_an_earlier_report_is_shown_as_void() {
    both(|store| async move {
        two_versions(&store).await;
        approve(&store, 2, 0.75, "bo", "approval.grant").await;
        approve(&store, 2, 0.75, "cy", "approval.refuse").await;
        attach(&store, 2, 0.80).await;
        approve(&store, 2, 0.80, "cy", "approval.grant").await;
        let approvals = ask(&store, Some(2)).await.approvals;
        let shown: Vec<_> = approvals.iter().map(|fact| (fact.by.as_str(), fact.verdict.as_str(), fact.is_current)).collect();
        assert_eq!(shown, [("bo", "granted", false), ("cy", "granted", true)]);
    });
}

#[test]
fn without_an_endpoint_the_champion_or_else_the_newest_is_explained() {
    both(|store| async move {
        make_version(&store, 1, 1.0, 0.7).await;
        make_version(&store, 2, 1.0, 0.7).await;
        assert_eq!(ask(&store, None).await.version.version, 2);
        promote(&store, 1, None).await;
        let answers = ask(&store, None).await;
        assert_eq!((answers.version.version, answers.running.len()), (1, 0));
        let name = Name::parse("late_arrival").unwrap();
        assert!(why(&store, &name, Some(9)).await.unwrap_err().is(NOTHING_TO_EXPLAIN));
        let other = Name::parse("other").unwrap();
        assert!(why(&store, &other, None).await.unwrap_err().is(NOTHING_TO_EXPLAIN));
    });
}

#[test]
fn the_text_answers_every_question_and_names_entries() {
    both(|store| async move {
        two_versions(&store).await;
        let text = ask(&store, Some(2)).await.to_text();
        for line in [
            "late_arrival version 2, registered 2013-04-01T00:00:00Z by bea, owner ana, project applied by cy  [#11]",
            "1. Which version is running?",
            "late_arrival: version 1 as champion since 2013-04-01T00:00:00Z, by loopwright:release  [#",
            "2. What data trained it?",
            "training_set/late_arrival@2",
            "1800 rows, from 2013-01-01T00:00:00Z to 2013-03-31T00:00:00Z",
            "3. Which features does it use?",
            "carrier_delay_24h",
            "4. Who approved it?",
            "nobody was asked, or nobody has answered",
            "5. What changed since the version before?",
            "recipe: params.l2 1 → 0.5",
            "metrics: auc 0.7 → 0.75",
            "Evidence: ledger entries ",
        ] {
            assert!(text.contains(line), "`{line}` is not in:\n{text}");
        }
        assert_eq!(version(2).to_string(), "model_version/late_arrival@2");
    });
}

#[test]
fn a_version_that_came_back_runs_since_it_came_back() {
    both(|store| async move {
        make_version(&store, 1, 1.0, 0.70).await;
        make_version(&store, 2, 1.0, 0.75).await;
        deploy(&store, "late_arrival", 1, 1, None).await;
        deploy(&store, "late_arrival", 2, 2, None).await;
        let back = deploy(&store, "late_arrival", 3, 1, None).await;
        deploy(&store, "late_arrival", 4, 1, Some(2)).await;
        let running = ask(&store, Some(1)).await.running;
        assert_eq!((running[0].version, running[0].since_seq, running[0].generation), (1, back.seq, Some(4)));
    });
}

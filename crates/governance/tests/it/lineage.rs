use lw_core::{Draft, Subject, SubjectKind};
use lw_governance::{Budget, Direction, Lineage, UNKNOWN_SUBJECT, lineage};
use lw_store::Store;
use lw_store::testing::both;

use crate::{deploy, make_version, record, register_view, table, training_set, version, view};

async fn walk(store: &Store, start: Subject, direction: Direction) -> Lineage {
    lineage(store, &start, direction, Budget::WIDE).await.unwrap()
}

fn subjects(lineage: &Lineage) -> Vec<String> {
    let mut subjects: Vec<String> = lineage.nodes.iter().skip(1).map(|node| node.subject.to_string()).collect();
    subjects.sort();
    subjects
}

#[test]
fn a_version_comes_from_data_and_features_and_leads_to_deployments() {
    both(|store| async move {
        register_view(&store).await;
        make_version(&store, 1, 1.0, 0.7).await;
        make_version(&store, 2, 1.0, 0.7).await;
        deploy(&store, "late_arrival", 1, 1, None).await;
        let up = walk(&store, version(1), Direction::Upstream).await;
        let want = [
            "feature_view/carrier_delays@1",
            "source/flights@1",
            "table/flights",
            "table/flights@1",
            "training_set/late_arrival@1",
        ];
        assert_eq!(subjects(&up), want);
        assert!(up.is_complete);
        assert!(up.edges.iter().all(|edge| edge.seq > 0 && edge.from != edge.to));
        let down = walk(&store, table(1), Direction::Downstream).await;
        assert_eq!(subjects(&down), ["deployment/late_arrival@1", "model_version/late_arrival@1", "training_set/late_arrival@1"]);
        let of_view = walk(&store, view(1), Direction::Downstream).await;
        assert!(subjects(&of_view).contains(&training_set(2).to_string()));
    });
}

fn step(number: u64) -> Subject {
    Subject::new(SubjectKind::Table, "chain", number)
}

#[test]
fn cycles_end_and_budgets_hold() {
    both(|store| async move {
        for number in 0..30 {
            let draft = Draft::new("table.commit", step(number)).input("table", step((number + 1) % 30), None);
            record(&store, "ana", draft.output("table", step(number), None)).await;
        }
        let whole =
            lineage(&store, &step(0), Direction::Upstream, Budget { depth: 100, n_nodes: 100, n_edges: 100 }).await.unwrap();
        assert_eq!((whole.nodes.len(), whole.edges.len(), whole.is_complete), (30, 30, true));
        let shallow =
            lineage(&store, &step(0), Direction::Downstream, Budget { depth: 3, n_nodes: 100, n_edges: 100 }).await.unwrap();
        assert_eq!((shallow.nodes.len(), shallow.nodes[3].depth, shallow.is_complete), (4, 3, false));
        let narrow =
            lineage(&store, &step(0), Direction::Upstream, Budget { depth: 100, n_nodes: 5, n_edges: 100 }).await.unwrap();
        assert_eq!((narrow.nodes.len(), narrow.is_complete), (5, false));
        let thin = lineage(&store, &step(0), Direction::Upstream, Budget { depth: 100, n_nodes: 100, n_edges: 7 }).await.unwrap();
        assert_eq!((thin.edges.len(), thin.is_complete), (7, false));
    });
}

#[test]
fn a_thing_without_a_version_stands_for_all_its_versions() {
    both(|store| async move {
        make_version(&store, 1, 1.0, 0.7).await;
        make_version(&store, 2, 1.0, 0.7).await;
        let tables = Subject::unversioned(SubjectKind::Table, "flights");
        let down = walk(&store, tables, Direction::Downstream).await;
        let starts: Vec<String> = down.nodes.iter().filter(|node| node.depth == 0).map(|node| node.subject.to_string()).collect();
        assert_eq!(starts, ["table/flights@2", "table/flights@1"]);
        assert!(subjects(&down).contains(&version(1).to_string()) && subjects(&down).contains(&version(2).to_string()));
    });
}

#[test]
fn an_unknown_subject_names_what_comes_near() {
    both(|store| async move {
        make_version(&store, 1, 1.0, 0.7).await;
        make_version(&store, 2, 1.0, 0.7).await;
        let hint = async |text: &str| {
            let error = lineage(&store, &Subject::parse(text).unwrap(), Direction::Upstream, Budget::WIDE).await.unwrap_err();
            assert!(error.is(UNKNOWN_SUBJECT));
            error.hint_text().unwrap().to_owned()
        };
        assert_eq!(hint("model_version/late_arrival@9").await, "`model_version/late_arrival` has the versions 1 to 2");
        assert_eq!(hint("table/flihgts@1").await, "did you mean `table/flights`?");
        assert_eq!(hint("pipeline/flights").await, "did you mean `source/flights`?");
        assert_eq!(hint("training_set/churn").await, "there are `late_arrival`");
        assert!(hint("alert/nothing").await.contains("nothing of the kind `alert`"));
    });
}

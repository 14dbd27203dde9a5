use std::collections::BTreeMap;

use lw_core::{DataType, Digest, Scalar, SubjectKind};
use lw_engine::{Binding, Engine, scalar_at};
use lw_features::failures::{BAD_TRAINING_SET, EMPTY_TRAINING_SET};
use lw_features::{
    Examples, JoinedView, Services, TimeWindow, TrainingSet, TrainingSetRecipe, ViewComputer, build_training_set,
    compute_training_set, list_training_sets, load_recipe,
};
use lw_store::testing::{self, TestDirectory};
use lw_store::{Artifacts, EntryFilter, Store};

use crate::fixtures::{
    FLIGHTS, carrier_delays, ctx, engine, hour, name, register, relation, sources, unregistered, write_flights,
};

fn services(store: Store, directory: &TestDirectory) -> Services {
    let artifacts = Artifacts::open(&format!("file://{}", directory.path().join("artifacts").display())).unwrap();
    Services { store, artifacts, computer: ViewComputer::new(engine(directory.path())) }
}

fn recipe(view: JoinedView, flights: lw_features::TableVersion) -> TrainingSetRecipe {
    TrainingSetRecipe {
        name: name("late"),
        examples: Examples {
            from: "flights".to_owned(),
            id: "flight_id".to_owned(),
            at: "\"at\"".to_owned(),
            label: "arr_delay > 15".to_owned(),
            label_known: "landed_at".to_owned(),
            filter: None,
        },
        request: BTreeMap::from([("carrier".to_owned(), DataType::String)]),
        views: vec![view],
        expressions: vec![
            ("was_late".to_owned(), "carrier_delay > 15".to_owned()),
            ("label_text".to_owned(), "carrier || CASE WHEN was_late THEN '!' ELSE '' END".to_owned()),
        ],
        outputs: ["carrier", "carrier_delay", "was_late", "label_text"].map(str::to_owned).to_vec(),
        window: TimeWindow { from: hour(1.0), to: hour(31.0) },
        as_of: hour(50.0),
        sources: sources(flights),
    }
}

async fn read(engine: &Engine, set: &TrainingSet) -> Vec<Vec<Scalar>> {
    let sql = "SELECT example_id, predicted_at, label, carrier_delay, label_text FROM t ORDER BY predicted_at, example_id";
    let table = lw_engine::Bound::Table { table: set.table.clone(), version: Some(set.table_version) };
    let batches = engine.query(sql, vec![Binding::new("t", table)]).await.unwrap().collect().await.unwrap();
    let row =
        |batch: &arrow::array::RecordBatch, row| batch.columns().iter().map(|column| scalar_at(column, row).unwrap()).collect();
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |index| row(batch, index))).collect()
}

#[test]
fn a_training_set_holds_what_was_known_and_can_be_made_again() {
    testing::both(|store| async move {
        let directory = TestDirectory::make();
        let services = services(store.clone(), &directory);
        let flights = write_flights(services.computer.engine(), &FLIGHTS).await;
        let view = register(&store, &carrier_delays()).await;
        let recipe = recipe(JoinedView::new(&view, BTreeMap::new()), flights);
        let set = build_training_set(&ctx(), &services, &recipe).await.unwrap();

        // f5 never landed, f6 landed after `as_of`.
        assert_eq!((set.version, set.n_rows, set.n_dropped_unlabelled), (1, 4, 2));
        let row = |id: &str, at: f64, label: f64, delay: Option<f64>, text: Option<&str>| {
            vec![Scalar::from(id), hour(at).into(), Scalar::Float(label), delay.into(), text.into()]
        };
        let wanted = vec![
            row("f1", 1.0, 1.0, None, Some("AA")),
            row("f2", 6.0, 0.0, Some(20.0), Some("AA!")),
            row("f3", 6.0, 1.0, None, Some("UA")),
            // The landing at 9 is known at 9.
            row("f4", 9.0, 1.0, Some(-4.0), Some("AA")),
        ];
        assert_eq!(read(services.computer.engine(), &set).await, wanted);

        assert_eq!(
            build_training_set(&ctx(), &services, &recipe).await.unwrap(),
            set,
            "the same recipe is the same training set"
        );
        assert_eq!(load_recipe(&services.artifacts, &set).await.unwrap(), recipe);
        assert_eq!(compute_training_set(&services.computer, &recipe).await.unwrap().content, set.content);

        let entries = store.entries(EntryFilter::all()).await.unwrap();
        let entry = entries.iter().find(|entry| entry.action == "training_set.build").unwrap();
        let inputs: Vec<String> = entry.inputs.iter().map(|input| input.subject.to_string()).collect();
        assert_eq!(inputs, ["table/flights@0", "feature_view/carrier_delays@1"]);
        assert!(entry.inputs.iter().all(|input| input.digest.is_some()));
        assert!(entry.outputs.iter().any(|output| output.subject.kind == SubjectKind::Artifact));
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn the_content_digest_depends_on_rows_and_not_on_files() {
    testing::both(|store| async move {
        let directory = TestDirectory::make();
        let services = services(store.clone(), &directory);
        let whole = write_flights(services.computer.engine(), &FLIGHTS).await;
        let view = register(&store, &carrier_delays()).await;
        let first = recipe(JoinedView::new(&view, BTreeMap::new()), whole);
        let first_set = build_training_set(&ctx(), &services, &first).await.unwrap();

        // The same flights in two files and another order, in a workspace of their own.
        let elsewhere = TestDirectory::make();
        let other_engine = engine(elsewhere.path());
        write_flights(&other_engine, &FLIGHTS[3..]).await;
        let halves = write_flights(&other_engine, &FLIGHTS[..3]).await;
        let mut second = first.clone();
        second.sources = sources(halves);
        assert_eq!(
            compute_training_set(&ViewComputer::new(other_engine.clone()), &second).await.unwrap().content,
            first_set.content
        );

        // One more known label is another content, the next version, and a table version of its own.
        let mut later = first.clone();
        later.as_of = hour(95.0);
        let later_set = build_training_set(&ctx(), &services, &later).await.unwrap();
        assert_eq!((later_set.version, later_set.n_rows, later_set.n_dropped_unlabelled), (2, 5, 1));
        assert_ne!(later_set.content, first_set.content);
        assert_eq!(read(services.computer.engine(), &first_set).await.len(), 4, "older versions stay as they were");

        // Other columns do not disturb the older table.
        let mut narrower = first.clone();
        narrower.outputs = vec!["carrier_delay".to_owned(), "label_text".to_owned()];
        let narrow_set = build_training_set(&ctx(), &services, &narrower).await.unwrap();
        assert_ne!(narrow_set.table, first_set.table);
        assert_eq!(read(services.computer.engine(), &narrow_set).await, read(services.computer.engine(), &first_set).await);
        let listed = list_training_sets(&store, &name("late"), None, 2).await.unwrap();
        assert_eq!(listed, [narrow_set, later_set]);
        assert_eq!(list_training_sets(&store, &name("late"), Some(2), 10).await.unwrap(), [first_set]);
    });
}

type Change<'a> = &'a dyn Fn(&mut TrainingSetRecipe);

#[tokio::test]
async fn a_recipe_that_contradicts_itself_is_refused() {
    let directory = TestDirectory::make();
    let engine = engine(directory.path());
    let flights = write_flights(&engine, &FLIGHTS).await;
    let view = JoinedView::new(&unregistered(carrier_delays(), relation(&carrier_delays())), BTreeMap::new());
    let sound = recipe(view, flights);
    let refusal = async |change: Change<'_>| {
        let mut changed = sound.clone();
        change(&mut changed);
        compute_training_set(&ViewComputer::new(engine.clone()), &changed).await.unwrap_err()
    };
    let cases: [(Change<'_>, &str); 6] = [
        (&|r| r.outputs.push("carier".to_owned()), "hint: did you mean `carrier`?"),
        (&|r| r.window.to = r.window.from, "is empty"),
        (&|r| r.expressions.push(("carrier".to_owned(), "1".to_owned())), "two columns are called `carrier`"),
        (&|r| r.request.clear(), "view `carrier_delays` needs its entity `carrier`"),
        (
            &|r| r.request = [("carrier".to_owned(), DataType::Int64)].into(),
            "`carrier` is int64, but the column of `flights` is string",
        ),
        (&|r| r.examples.from = "flight".to_owned(), "no version of the table `flight`"),
    ];
    for (change, wanted) in cases {
        let error = refusal(change).await;
        assert!(error.is(BAD_TRAINING_SET) && format!("{error:?}").contains(wanted), "{error:?} lacks {wanted}");
    }
    let error = refusal(&|r| r.as_of = hour(2.0)).await;
    assert!(error.is(EMPTY_TRAINING_SET), "{error:?}");
    let error = refusal(&|r| r.examples.label = "ar_delay > 15".to_owned()).await;
    assert!(format!("{error:?}").contains("did you mean `arr_delay`?"), "{error:?}");
    assert_ne!(sound.digest(), Digest::of(b""));
}

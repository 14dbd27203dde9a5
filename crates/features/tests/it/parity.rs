//! Online and offline give the same answer: the promise that there is one definition of a feature.

use std::sync::Arc;

use arrow::array::RecordBatch;
use lw_core::{DataType, Scalar, Span};
use lw_engine::{
    Area, Engine, KeyPair, OutputColumn, PitView, PointInTime, TableId, WriteMode, WriteOptions, batch_from_rows, scalar_at,
};
use lw_features::online::Durability;
use lw_features::{
    AvailableRange, FeatureDefinition, MaterializationFeed, MemoryStore, OnlineStore, OnlineView, RegisteredView, Sources,
    TableVersion, ViewComputer, ViewDefinition, check_view, view_rows,
};
use lw_store::testing::TestDirectory;
use proptest::prelude::*;

use crate::fixtures::{engine, hour, name, schema, unregistered};

/// A reading: sensor, event hour, known hour, value.
type Reading = (Option<&'static str>, Option<u8>, Option<u8>, Option<i64>);

fn reading_schema() -> arrow::datatypes::SchemaRef {
    use DataType::{Int64, String, Timestamp};
    schema(&[("sensor", String), ("event_at", Timestamp), ("known_at", Timestamp), ("value", Int64)])
}

fn view(ttl: Option<u8>, is_bitemporal: bool) -> RegisteredView {
    let feature = |data_type| FeatureDefinition { data_type, description: String::new() };
    let definition = ViewDefinition {
        feature_view: name("readings"),
        description: String::new(),
        owner: "ops".to_owned(),
        entity: vec!["sensor".to_owned()],
        event_time: "event_at".to_owned(),
        known_time: is_bitemporal.then(|| "known_at".to_owned()),
        ttl: ttl.map(|hours| Span::from_hours(hours.into())),
        sql: "SELECT sensor, event_at, known_at, value, 'v' || CAST(value AS VARCHAR) AS text FROM reading".to_owned(),
        features: [("value".to_owned(), feature(DataType::Int64)), ("text".to_owned(), feature(DataType::String))].into(),
    };
    let relation = check_view(&definition, &[("reading".to_owned(), reading_schema())]).unwrap();
    unregistered(definition, relation)
}

async fn write(engine: &Engine, readings: &[Reading]) -> Sources {
    let time = |hours: Option<u8>| Scalar::from(hours.map(|hours| hour(hours.into())));
    let row =
        |(sensor, event, known, value): &Reading| vec![Scalar::from(*sensor), time(*event), time(*known), Scalar::from(*value)];
    let rows = batch_from_rows(&reading_schema(), &readings.iter().map(row).collect::<Vec<_>>()).unwrap();
    let table = TableId::new(Area::Data, name("reading"));
    let written = engine.write(&table, reading_schema(), vec![rows], WriteOptions::new(WriteMode::Append)).await.unwrap();
    let version = TableVersion { table, version: written.version, digest: written.digest };
    Sources { tables: vec![version], views: Vec::new() }
}

const SENSORS: [Option<&str>; 4] = [Some("a"), Some("b"), Some(""), None];

/// What the point-in-time join says about every sensor at every hour.
async fn offline(engine: &Engine, view: &RegisteredView, sources: &Sources, n_hours: u8) -> Vec<[Scalar; 2]> {
    let spine_schema = schema(&[("sensor", DataType::String), ("at", DataType::Timestamp)]);
    let moments = (0..n_hours).flat_map(|hours| SENSORS.map(|sensor| vec![Scalar::from(sensor), hour(hours.into()).into()]));
    let spine = batch_from_rows(&spine_schema, &moments.collect::<Vec<_>>()).unwrap();
    let definition = &view.definition;
    let rows = view_rows(engine, definition, sources, AvailableRange::until(hour(1000.0))).await.unwrap();
    let output = |name: &str| OutputColumn { column: name.to_owned(), name: name.to_owned() };
    let pit_view = PitView {
        name: definition.feature_view.to_string(),
        rows,
        keys: vec![KeyPair { spine: "sensor".to_owned(), view: "sensor".to_owned() }],
        event_time: definition.event_time.clone(),
        known_time: definition.known_time.clone(),
        ttl: definition.ttl,
        strictly_before: false,
        columns: vec![output("text"), output("value")],
    };
    let request = PointInTime { spine: vec![spine], time_column: "at".to_owned(), views: vec![pit_view] };
    let joined: Vec<RecordBatch> = engine.point_in_time(request).await.unwrap();
    let values = |batch: &RecordBatch| {
        (0..batch.num_rows()).map(|row| [2, 3].map(|column| scalar_at(batch.column(column), row).unwrap())).collect::<Vec<_>>()
    };
    joined.iter().flat_map(values).collect()
}

/// What look-ups say, with the feed advanced to each hour before it is asked about.
async fn online(engine: &Engine, view: &RegisteredView, sources: &Sources, n_hours: u8) -> Vec<[Scalar; 2]> {
    let store: Arc<dyn OnlineStore> = Arc::new(MemoryStore::default());
    let horizon = hour(n_hours.into());
    let mut feed = MaterializationFeed::open(
        &ViewComputer::new(engine.clone()),
        store.clone(),
        std::slice::from_ref(view),
        sources,
        horizon,
    )
    .await
    .unwrap();
    let online = OnlineView::new(store, view);
    let mut answers = Vec::new();
    for hours in 0..n_hours {
        feed.advance(hour(hours.into()), Durability::Later).unwrap();
        for sensor in SENSORS {
            let mut out = [Scalar::Null, Scalar::Null];
            online.lookup(&[Scalar::from(sensor)], hour(hours.into()), &mut out).unwrap();
            answers.push(out);
        }
    }
    answers
}

fn reading() -> impl Strategy<Value = Reading> {
    let maybe_hour = || prop_oneof![9 => (0..12_u8).prop_map(Some), 1 => Just(None)];
    (proptest::sample::select(SENSORS.to_vec()), maybe_hour(), maybe_hour(), proptest::option::weighted(0.8, any::<i64>()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn look_ups_equal_the_point_in_time_join(
        readings in proptest::collection::vec(reading(), 1..40),
        ttl in proptest::option::of(1..6_u8),
        is_bitemporal: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let directory = TestDirectory::make();
        let engine = engine(directory.path());
        let view = view(ttl, is_bitemporal);
        let (online, offline) = runtime.block_on(async {
            let sources = write(&engine, &readings).await;
            (online(&engine, &view, &sources, 14).await, offline(&engine, &view, &sources, 14).await)
        });
        prop_assert_eq!(online, offline);
    }
}

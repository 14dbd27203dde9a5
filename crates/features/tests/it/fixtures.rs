//! A small world: flights of two carriers, and a view of their delays.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use lw_core::{Actor, Ctx, DataType, Name, RandomIds, Scalar, SimulatedClock, Span, Timestamp};
use lw_engine::{Area, Engine, EngineOptions, TableId, WriteMode, WriteOptions, batch_from_rows, to_arrow};
use lw_features::{
    FeatureDefinition, RegisteredView, Relation, Sources, TableVersion, ViewDefinition, check_view, register_view,
};
use lw_store::Store;

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// `3.5` is half past three on the first day of 2013.
pub fn hour(hours: f64) -> Timestamp {
    Timestamp::parse("2013-01-01").unwrap() + Span::from_micros((hours * 3.6e9) as i64)
}

pub fn ctx() -> Ctx {
    Ctx {
        clock: Arc::new(SimulatedClock::at(hour(1000.0))),
        ids: Arc::new(RandomIds),
        actor: Actor::new("ana"),
        request_id: "test".into(),
    }
}

pub fn engine(directory: &Path) -> Engine {
    let options = EngineOptions { tables_dir: directory.join("tables"), memory_limit_bytes: 1 << 30, n_threads: 2 };
    Engine::open(options).unwrap()
}

pub fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(
        columns.iter().map(|(name, data_type)| Field::new(*name, to_arrow(*data_type), true)).collect::<Vec<_>>(),
    ))
}

pub fn flight_schema() -> SchemaRef {
    use DataType::{Float64, String, Timestamp};
    schema(&[("flight_id", String), ("carrier", String), ("at", Timestamp), ("landed_at", Timestamp), ("arr_delay", Float64)])
}

/// A flight: id, carrier, hour of prediction, hour of landing, delay.
pub type Flight = (&'static str, &'static str, f64, Option<f64>, Option<f64>);

pub fn flight_rows(flights: &[Flight]) -> RecordBatch {
    let row = |(id, carrier, at, landed, delay): &Flight| {
        vec![Scalar::from(*id), Scalar::from(*carrier), hour(*at).into(), landed.map(hour).into(), Scalar::from(*delay)]
    };
    batch_from_rows(&flight_schema(), &flights.iter().map(row).collect::<Vec<_>>()).unwrap()
}

pub const FLIGHTS: [Flight; 6] = [
    ("f1", "AA", 1.0, Some(5.0), Some(20.0)),
    ("f2", "AA", 6.0, Some(9.0), Some(-4.0)),
    ("f3", "UA", 6.0, Some(10.0), Some(60.0)),
    ("f4", "AA", 9.0, Some(12.0), Some(16.0)),
    ("f5", "UA", 11.0, None, None),
    ("f6", "UA", 30.0, Some(90.0), Some(0.0)),
];

/// Writes the flights as one more version of the table `flights`.
pub async fn write_flights(engine: &Engine, flights: &[Flight]) -> TableVersion {
    let table = TableId::new(Area::Data, name("flights"));
    let options = WriteOptions::new(WriteMode::Append);
    let written = engine.write(&table, flight_schema(), vec![flight_rows(flights)], options).await.unwrap();
    TableVersion { table, version: written.version, digest: written.digest }
}

pub fn sources(flights: TableVersion) -> Sources {
    Sources { tables: vec![flights], views: Vec::new() }
}

/// The delay of the carrier's last landing, for a day.
pub fn carrier_delays() -> ViewDefinition {
    let feature = FeatureDefinition { data_type: DataType::Float64, description: String::new() };
    ViewDefinition {
        feature_view: name("carrier_delays"),
        description: "How late the carrier was when it landed last".to_owned(),
        owner: "ops".to_owned(),
        entity: vec!["carrier".to_owned()],
        event_time: "landed_at".to_owned(),
        known_time: None,
        ttl: Some(Span::from_hours(24)),
        sql: "SELECT carrier, landed_at, arr_delay AS carrier_delay FROM flights".to_owned(),
        features: [("carrier_delay".to_owned(), feature)].into(),
    }
}

pub fn relation(view: &ViewDefinition) -> Relation {
    check_view(view, &[("flights".to_owned(), flight_schema())]).unwrap()
}

pub async fn register(store: &Store, view: &ViewDefinition) -> RegisteredView {
    register_view(&ctx(), store, view, &relation(view)).await.unwrap()
}

/// A registered view that no database knows.
pub fn unregistered(definition: ViewDefinition, relation: Relation) -> RegisteredView {
    RegisteredView {
        digest: definition.digest(),
        definition,
        version: 1,
        entity: relation.entity,
        features: relation.features,
        reads: relation.reads,
        registered_at: hour(0.0),
    }
}

//! A small world with everything real: SQLite, artifacts, Delta tables, a redb online store, compiled models.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use lw_core::{Actor, Ctx, DataType, Digest, Field, Name, SeededIds, SimulatedClock, Span, Timestamp};
use lw_engine::{Engine, EngineOptions};
use lw_features::online::{PutBatch, ViewPut};
use lw_features::{
    EmbeddedStore, FeatureDefinition, OnlineStore, OnlineView, RegisteredView, Relation, ViewDefinition, register_view,
};
use lw_onnx::{Element, GraphBuilder};
use lw_serving::{
    Activation, Bundle, EntityKey, FeatureColumn, FeatureLookup, ModelInput, Output, RequestExpression, RequestField, Routing,
    Served, Serving, ServingMetrics, ServingParts,
};
use lw_store::{Artifacts, MetadataUrl, Store};

pub const ENDPOINT: &str = "late_arrival";

pub struct World {
    pub dir: tempfile::TempDir,
    pub parts: ServingParts,
    pub clock: Arc<SimulatedClock>,
    pub view: RegisteredView,
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub fn noon() -> Timestamp {
    Timestamp::parse("2013-06-01T12:00:00Z").unwrap()
}

impl World {
    pub async fn make() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(SimulatedClock::at(noon()));
        let parts = parts(dir.path());
        let ctx = ctx(&clock, "setup");
        let view = register_view(&ctx, &parts.store, &view_definition(), &relation()).await.unwrap();
        let world = Self { dir, parts, clock, view };
        world.put_delays(&[("AA", 10.0, noon() - Span::from_hours(1)), ("B6", 40.0, noon() - Span::from_hours(25))]);
        world
    }

    pub fn ctx(&self, request_id: &str) -> Ctx {
        ctx(&self.clock, request_id)
    }

    /// Carriers with their recent delay and when it was known.
    pub fn put_delays(&self, rows: &[(&str, f64, Timestamp)]) {
        let view = OnlineView::new(Arc::clone(&self.parts.online), &self.view);
        let times: TimestampMicrosecondArray = rows.iter().map(|row| Some(row.2.micros())).collect();
        let columns: [(&str, ArrayRef); 3] = [
            ("carrier", Arc::new(rows.iter().map(|row| Some(row.0)).collect::<StringArray>())),
            ("known_at", Arc::new(times.with_timezone("UTC"))),
            ("delay", Arc::new(rows.iter().map(|row| Some(row.1)).collect::<Float64Array>())),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut put = ViewPut::new(view.id(), noon());
        view.encode(&batch, 0..rows.len(), &mut put).unwrap();
        self.parts.online.put_batch(&PutBatch::of(vec![put])).unwrap();
    }

    /// Stores a version of the model whose score is `intercept + 0.01 × delay + 0.001 × distance_km`, of unknown delay 20.
    pub async fn version(&self, version: u64, intercept: f32) -> Served {
        self.store(bundle(version), linear_model(intercept, &["delay", "distance_km"])).await
    }

    pub async fn store(&self, mut bundle: Bundle, model: Vec<u8>) -> Served {
        bundle.artifact = self.parts.artifacts.put(model).await.unwrap();
        let digest = self.parts.artifacts.put(bundle.to_json()).await.unwrap();
        assert_eq!(digest, bundle.digest());
        Served { model: bundle.model, version: bundle.version, bundle: digest }
    }

    pub async fn serving(&self) -> Serving {
        let serving = Serving::new(self.parts.clone());
        let failed = serving.sync().await.unwrap();
        assert!(failed.is_empty(), "{failed:?}");
        serving
    }

    pub fn activation(&self, expected_generation: u64, routing: Routing) -> Activation {
        Activation { endpoint: name(ENDPOINT), expected_generation, routing, reason: "test".to_owned() }
    }

    /// Rows of the prediction table as text, one column after the other.
    pub async fn logged(&self, columns: &str) -> Vec<String> {
        let sql = format!("SELECT {columns} FROM prediction.{ENDPOINT} ORDER BY 1, 2");
        let table = lw_serving::prediction_table(&name(ENDPOINT));
        let query = self.parts.engine.query(&sql, vec![lw_engine::Binding::table(&table, None)]).await.unwrap();
        let batches = query.collect().await.unwrap();
        let mut lines = Vec::new();
        for batch in &batches {
            for row in 0..batch.num_rows() {
                let cells =
                    batch.columns().iter().map(|column| arrow::util::display::array_value_to_string(column, row).unwrap());
                lines.push(cells.collect::<Vec<_>>().join(" "));
            }
        }
        lines
    }
}

pub fn parts(dir: &std::path::Path) -> ServingParts {
    ServingParts {
        store: Store::open(&MetadataUrl::sqlite(dir.join("metadata.db"))).unwrap(),
        artifacts: Artifacts::open(&format!("file://{}", dir.join("artifacts").display())).unwrap(),
        engine: engine(dir),
        online: Arc::new(EmbeddedStore::open(&dir.join("online.redb"), 1 << 20).unwrap()) as Arc<dyn OnlineStore>,
        predictions_dir: dir.join("predictions"),
        metrics: ServingMetrics::default(),
    }
}

pub fn engine(dir: &std::path::Path) -> Engine {
    Engine::open(EngineOptions { tables_dir: dir.join("tables"), memory_limit_bytes: 256 << 20, n_threads: 2 }).unwrap()
}

fn ctx(clock: &Arc<SimulatedClock>, request_id: &str) -> Ctx {
    Ctx {
        clock: Arc::clone(clock) as _,
        ids: Arc::new(SeededIds::new(7)),
        actor: Actor::new("ana"),
        request_id: request_id.into(),
    }
}

fn view_definition() -> ViewDefinition {
    ViewDefinition {
        feature_view: name("carrier_delays"),
        description: "How late a carrier's flights have landed lately".to_owned(),
        owner: "ops".to_owned(),
        entity: vec!["carrier".to_owned()],
        event_time: "known_at".to_owned(),
        known_time: None,
        ttl: Some(Span::from_hours(24)),
        sql: "SELECT carrier, known_at, delay FROM flights".to_owned(),
        features: BTreeMap::from([(
            "delay".to_owned(),
            FeatureDefinition { data_type: DataType::Float64, description: String::new() },
        )]),
    }
}

fn relation() -> Relation {
    let field = |name: &str, data_type| Field { name: name.to_owned(), data_type, nullable: true };
    Relation {
        entity: vec![field("carrier", DataType::String)],
        features: vec![field("delay", DataType::Float64)],
        reads: vec!["flights".to_owned()],
    }
}

pub fn bundle(version: u64) -> Bundle {
    let field = |name: &str, data_type, required| RequestField { name: name.to_owned(), data_type, required };
    let input = |name: &str| ModelInput { name: name.to_owned(), data_type: DataType::Float64 };
    Bundle {
        model: name(ENDPOINT),
        version,
        artifact: Digest::of(b""),
        id: Some("flight_id".to_owned()),
        request: vec![field("carrier", DataType::String, true), field("distance", DataType::Float64, true)],
        features: vec![FeatureLookup {
            view: name("carrier_delays"),
            version: 1,
            keys: vec![EntityKey { entity: "carrier".to_owned(), field: "carrier".to_owned() }],
            columns: vec![FeatureColumn { feature: "delay".to_owned(), name: "delay".to_owned(), data_type: DataType::Float64 }],
        }],
        expressions: vec![RequestExpression {
            name: "distance_km".to_owned(),
            sql: "distance * 1.609344".to_owned(),
            data_type: DataType::Float64,
        }],
        inputs: vec![input("delay"), input("distance_km")],
        output: Output::Probability { threshold: 0.5 },
    }
}

/// `intercept + 0.01 × first + 0.001 × second`, as a probability in one column. An unknown first input counts as 20.
pub fn linear_model(intercept: f32, inputs: &[&str]) -> Vec<u8> {
    let mut graph = GraphBuilder::new("linear");
    let columns: Vec<_> = inputs.iter().map(|name| graph.input(name, Element::Float, 1)).collect();
    let together = graph.concat(&columns.iter().collect::<Vec<_>>());
    let filled = graph.impute(&together, &[20.0, 0.0][..inputs.len()]);
    let score = graph.linear_regressor(&filled, &[0.01, 0.001][..inputs.len()], intercept);
    graph.output("probability", &score, Element::Float, Some(1));
    graph.finish().unwrap().encode()
}

/// What the model says, in 64 bits.
pub fn expected(intercept: f64, delay: f64, distance: f64) -> f64 {
    intercept + 0.01 * delay + 0.001 * distance * 1.609344
}

#[track_caller]
pub fn close(found: f64, wanted: f64) {
    assert!((found - wanted).abs() < 1e-6, "{found} is not {wanted}");
}

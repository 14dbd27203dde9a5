//! What must not get into service.

use lw_core::{DataType, Kind};
use lw_onnx::{Element, GraphBuilder};
use lw_serving::failures::UNKNOWN_ENDPOINT;
use lw_serving::{Bundle, Output, Routing, Serving};

use crate::world::{ENDPOINT, World, bundle, linear_model};

/// Deploys a good version, then tries a bad one: it is refused with this code, and nothing has changed.
async fn refused(bundle: Bundle, model: Vec<u8>, code: &str, part: &str) {
    let world = World::make().await;
    let serving = world.serving().await;
    let (good, bad) = (world.version(1, 0.1).await, world.store(bundle, model).await);
    serving.activate(&world.ctx("good"), world.activation(0, Routing::only(good))).await.unwrap();
    let error = serving.activate(&world.ctx("bad"), world.activation(1, Routing::only(bad))).await.unwrap_err();
    assert!(error.code() == code && error.message().contains(part), "{error:?}");
    let standing = serving.endpoint(ENDPOINT).unwrap().routes().champion().served().version;
    let recorded = lw_serving::current(&world.parts.store, &crate::world::name(ENDPOINT)).await.unwrap();
    assert_eq!((standing, recorded.generation), (1, 1), "the state is as it was");
}

fn changed(change: impl FnOnce(&mut Bundle)) -> Bundle {
    let mut bundle = bundle(2);
    change(&mut bundle);
    bundle
}

fn good_model() -> Vec<u8> {
    linear_model(0.2, &["delay", "distance_km"])
}

#[tokio::test]
async fn formats_that_run_code_are_told_by_their_content() {
    refused(bundle(2), b"\x80\x04\x95\x10\x00\x00\x00".to_vec(), "not-onnx", "a Python pickle").await;
    refused(bundle(2), b"PK\x03\x04model.pt".to_vec(), "not-onnx", "a ZIP archive").await;
    refused(bundle(2), b"cposix\nsystem\n".to_vec(), "not-onnx", "pickle of protocol 0").await;
    refused(bundle(2), b"hello".to_vec(), "not-onnx", "no ONNX model").await;
    refused(bundle(2), Vec::new(), "not-onnx", "no ONNX model").await;
}

#[tokio::test]
async fn models_that_read_files_or_loop_are_refused() {
    let mut graph = GraphBuilder::new("loop");
    let delay = graph.input("delay", Element::Float, 1);
    let distance = graph.input("distance_km", Element::Float, 1);
    let looped = graph.operator("", "Loop", &[&delay, &distance], Vec::new());
    graph.output("probability", &looped, Element::Float, Some(1));
    refused(bundle(2), graph.finish().unwrap().encode(), "unsafe-model", "`Loop`").await;

    use prost::Message;
    let mut message = lw_onnx::message::ModelProto::decode(good_model().as_slice()).unwrap();
    let tensor = lw_onnx::message::TensorProto { name: "weights".to_owned(), data_location: 1, ..Default::default() };
    message.graph.as_mut().unwrap().initializer.push(tensor);
    refused(bundle(2), message.encode_to_vec(), "unsafe-model", "another file").await;
}

#[tokio::test]
async fn a_model_with_another_signature_is_refused() {
    refused(
        bundle(2),
        linear_model(0.2, &["delay", "distance_mi"]),
        "signature-mismatch",
        "its input `distance_mi` is not among the declared ones",
    )
    .await;
    let with_text = changed(|bundle| {
        bundle.inputs[0].name = "carrier".to_owned();
        bundle.inputs[0].data_type = DataType::String;
    });
    refused(
        with_text,
        linear_model(0.2, &["carrier", "distance_km"]),
        "signature-mismatch",
        "takes float, and `carrier` is declared as string",
    )
    .await;
    let mut graph = GraphBuilder::new("label only");
    let delay = graph.input("delay", Element::Float, 1);
    let distance = graph.input("distance_km", Element::Float, 1);
    let sum = graph.add(&delay, &distance);
    let label = graph.cast(&sum, Element::Int64);
    graph.output("label", &label, Element::Int64, Some(1));
    refused(bundle(2), graph.finish().unwrap().encode(), "signature-mismatch", "holds a score").await;
}

#[tokio::test]
async fn a_bundle_that_does_not_hold_together_is_refused() {
    refused(
        changed(|bundle| bundle.features[0].columns[0].feature = "dely".to_owned()),
        good_model(),
        "invalid-bundle",
        "no feature `dely`",
    )
    .await;
    refused(changed(|bundle| bundle.features[0].version = 9), good_model(), "unknown-feature-view", "carrier_delays@9").await;
    refused(changed(|bundle| bundle.expressions[0].sql = "distnce * 2".to_owned()), good_model(), "unknown-column", "distnce")
        .await;
    refused(
        changed(|bundle| bundle.expressions[0].sql = "CAST(distance AS BIGINT)".to_owned()),
        good_model(),
        "invalid-bundle",
        "gives Int64",
    )
    .await;
    refused(
        changed(|bundle| bundle.features[0].columns[0].data_type = DataType::Int64),
        good_model(),
        "invalid-bundle",
        "input `delay` is float64 in the model and int64",
    )
    .await;
}

#[tokio::test]
async fn a_model_that_cannot_answer_is_refused_at_its_warm_up() {
    let error_part = "cannot answer a row of zeros";
    refused(bundle(2), linear_model(5.0, &["delay", "distance_km"]), "warm-up-failed", error_part).await;
    let world = World::make().await;
    let serving = world.serving().await;
    let regression = changed(|bundle| bundle.output = Output::Value);
    let served = world.store(regression, linear_model(5.0, &["delay", "distance_km"])).await;
    serving.activate(&world.ctx("regression"), world.activation(0, Routing::only(served))).await.unwrap();
    let answer =
        serving.endpoint(ENDPOINT).unwrap().predict_json(&world.ctx("r"), br#"{"carrier": "AA", "distance": 0}"#).unwrap();
    crate::world::close(answer.scores[0], 5.1);
    let json = serde_json::to_value(&answer).unwrap();
    assert!(json["predictions"][0].get("predicted").is_none(), "a regression predicts no class");
}

#[tokio::test]
async fn versions_that_cannot_share_a_request_are_refused() {
    let world = World::make().await;
    let serving = world.serving().await;
    let first = world.version(1, 0.1).await;
    let whole = changed(|bundle| {
        bundle.request[1].data_type = DataType::Int64;
        bundle.expressions[0].sql = "CAST(distance AS DOUBLE) * 1.6".to_owned();
    });
    let second = world.store(whole, good_model()).await;
    let routing = Routing { shadows: vec![second], ..Routing::only(first) };
    let error = serving.activate(&world.ctx("bad"), world.activation(0, routing)).await.unwrap_err();
    assert_eq!(error.code(), "request-mismatch", "{error:?}");
    assert!(serving.endpoint(ENDPOINT).is_err());
}

/// Where an artifact lies on the disk.
fn file_of(directory: &std::path::Path, digest: &str) -> Option<std::path::PathBuf> {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).find_map(|path| {
        let is_it = || path.file_name().and_then(|name| name.to_str()).is_some_and(|name| digest.ends_with(name));
        if path.is_dir() { file_of(&path, digest) } else { is_it().then_some(path) }
    })
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_loaded_says_why_until_it_can() {
    let world = World::make().await;
    let served = world.version(1, 0.1).await;
    let serving = world.serving().await;
    serving.activate(&world.ctx("deploy"), world.activation(0, Routing::only(served.clone()))).await.unwrap();
    assert!(serving.unloaded().is_empty());
    drop(serving);
    let path = file_of(&world.dir.path().join("artifacts"), &served.bundle.to_string()).expect("the bundle's file");
    let good = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, b"damaged").unwrap();

    let serving = Serving::new(world.parts.clone());
    assert_eq!(serving.sync().await.unwrap().len(), 1);
    let error = serving.endpoint(ENDPOINT).err().unwrap();
    assert_eq!((error.code(), error.kind()), ("artifact-corrupt", Kind::Unavailable));
    assert!(error.message().contains("generation 1 of endpoint `late_arrival`") && error.hint_text().is_some(), "{error:?}");
    let [unloaded] = serving.unloaded().try_into().unwrap();
    assert_eq!((unloaded.generation, unloaded.answering), (1, None));
    assert!(serving.endpoint("other").err().unwrap().is(UNKNOWN_ENDPOINT), "others are not there at all");

    std::fs::write(&path, good).unwrap();
    assert!(serving.sync().await.unwrap().is_empty());
    assert!(serving.endpoint(ENDPOINT).is_ok() && serving.unloaded().is_empty());
}

#[tokio::test]
async fn a_model_may_leave_out_an_input() {
    let world = World::make().await;
    let served = world.store(bundle(1), linear_model(0.1, &["delay"])).await;
    let serving = world.serving().await;
    serving.activate(&world.ctx("deploy"), world.activation(0, Routing::only(served))).await.unwrap();
    let endpoint = serving.endpoint(ENDPOINT).unwrap();
    let score = |distance: u32| {
        let body = format!(r#"{{"carrier": "AA", "distance": {distance}}}"#);
        endpoint.predict_json(&world.ctx("r"), body.as_bytes()).unwrap().scores[0]
    };
    assert_eq!(score(100).to_bits(), score(900).to_bits());
}

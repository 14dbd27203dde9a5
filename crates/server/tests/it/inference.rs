//! The Open Inference Protocol, with what its clients are known to do.

use std::io::Write;

use axum::body::Body;
use axum::http::header;
use serde_json::{Value, json};

use crate::world::{Answer, World};

const INFER: &str = "/v2/models/late_arrival/infer";

fn tensor(name: &str, datatype: &str, data: Value) -> Value {
    let n = data.as_array().map_or(1, Vec::len);
    json!({"name": name, "shape": [n], "datatype": datatype, "data": data})
}

fn request() -> Value {
    json!({"id": "my-id", "inputs": [tensor("carrier", "BYTES", json!(["UA", "AA"])), tensor("distance", "FP64", json!([100.0, 400.0]))]})
}

async fn infer(world: &World, body: Value) -> Answer {
    world.post(INFER, body.to_string()).await
}

fn output<'a>(answer: &'a Value, name: &str) -> &'a Value {
    answer["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|output| output["name"] == name)
        .unwrap_or_else(|| panic!("{name} in {answer}"))
}

#[tokio::test]
async fn tensors_are_scored_without_a_content_type() {
    let world = World::make().await;
    let answer = infer(&world, request()).await;
    assert_eq!((answer.status, &answer.headers[header::CONTENT_TYPE]), (200, &"application/json".parse().unwrap()));
    let json = answer.json();
    assert_eq!(
        (&json["id"], &json["model_name"], &json["model_version"]),
        (&json!("my-id"), &json!("late_arrival"), &json!("2"))
    );
    let score = output(&json, "score");
    assert_eq!((&score["datatype"], &score["shape"]), (&json!("FP64"), &json!([2])));
    assert!((score["data"][1].as_f64().unwrap() - 0.6).abs() < 1e-6);
    assert_eq!(output(&json, "predicted")["data"], json!([false, true]));
    assert_eq!(output(&json, "version")["data"], json!([2, 2]));
}

#[tokio::test]
async fn shapes_types_and_outputs_are_as_free_as_the_protocol() {
    let world = World::make().await;
    let inputs = json!({
        "parameters": {"unknown": 1},
        "inputs": [
            {"name": "carrier", "shape": [2, 1], "datatype": "BYTES", "data": [["UA"], ["AA"]], "parameters": {"content_type": "str"}},
            {"data": [100, 400], "name": "distance", "datatype": "INT32", "shape": [2]},
            tensor("seats", "INT64", json!([null, 3])),
            tensor("scheduled_at", "INT64", json!([0, 1_370_088_000_000_000_i64])),
            tensor("flight_id", "BYTES", json!(["a", "b"])),
        ],
        "outputs": [{"name": "id"}, {"name": "score"}],
    });
    let json = infer(&world, inputs).await.json();
    assert_eq!(json["outputs"].as_array().unwrap().len(), 2, "{json}");
    assert_eq!(output(&json, "id")["data"], json!(["a", "b"]));
}

#[tokio::test]
async fn a_wrong_request_has_an_error_text() {
    let world = World::make().await;
    let mut cases = vec![
        (json!({}), "no inference request"),
        (json!({"inputs": []}), "no rows"),
        (json!({"inputs": [tensor("carrier", "BYTES", json!(["UA"]))]}), "`distance` is missing"),
        (json!({"inputs": [tensor("colour", "BYTES", json!(["UA"]))]}), "`colour` is not a field"),
        (
            json!({"inputs": [tensor("carrier", "BYTES", json!(["UA", "UA"])), tensor("distance", "FP64", json!([1]))]}),
            "has 1 rows",
        ),
        (json!({"inputs": [tensor("carrier", "BYTES", json!(["UA"])), tensor("carrier", "BYTES", json!(["UA"]))]}), "sent twice"),
        (
            json!({"inputs": [{"name": "carrier", "shape": [2], "datatype": "BYTES", "data": ["UA"]}]}),
            "does not hold the 2 values",
        ),
        (
            json!({"inputs": [{"name": "carrier", "shape": [1], "datatype": "BYTES", "data": ["UA", "AA"]}]}),
            "does not hold the 1 values",
        ),
        (json!({"inputs": [{"name": "carrier", "shape": [-1], "datatype": "BYTES", "data": ["UA"]}]}), "shape of `carrier`"),
        (
            json!({"inputs": [{"name": "carrier", "shape": [99_999_999], "datatype": "BYTES", "data": ["UA"]}]}),
            "more than 10000 rows",
        ),
        (json!({"inputs": [{"name": "carrier", "shape": [1], "datatype": "BF16", "data": ["UA"]}]}), "no inference request"),
        (json!({"inputs": [{"name": "carrier", "shape": [1], "datatype": "BYTES"}]}), "has no data"),
        (json!({"inputs": [tensor("carrier", "BYTES", json!([{"a": 1}]))]}), "an object is no element"),
    ];
    let mut wrong = request();
    wrong["outputs"] = json!([{"name": "probability"}]);
    cases.push((wrong, "no output `probability`"));
    for (body, part) in cases {
        let answer = infer(&world, body).await;
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(answer.status == 400 && error.contains(part), "{error} does not contain {part}");
    }
    assert_eq!(world.post("/v2/models/other/infer", request().to_string()).await.status, 404);
    let bomb = format!(
        r#"{{"inputs": [{{"name": "distance", "shape": [1], "datatype": "FP64", "data": {}1{}}}]}}"#,
        "[".repeat(5000),
        "]".repeat(5000)
    );
    assert_eq!(world.post(INFER, bomb).await.status, 400);
}

#[tokio::test]
async fn versions_stand_in_the_path() {
    let world = World::make().await;
    assert_eq!(world.post("/v2/models/late_arrival/versions/2/infer", request().to_string()).await.status, 200);
    let old = world.post("/v2/models/late_arrival/versions/1/infer", request().to_string()).await;
    assert!(old.status == 404 && old.json()["error"].as_str().unwrap().contains("answering: 2"), "{}", old.json());
    assert_eq!(world.get("/v2/models/late_arrival/versions/2/ready").await.json()["ready"], true);
    assert_eq!(world.get("/v2/models/late_arrival/versions/1/ready").await.status, 404);
}

#[tokio::test]
async fn clients_find_what_they_ask_first() {
    let world = World::make().await;
    assert_eq!(world.get("/v2/health/live").await.json(), json!({"live": true}));
    assert_eq!(world.get("/v2/health/ready").await.json(), json!({"ready": true}));
    assert_eq!(world.get("/v2").await.json()["name"], "loopwright");
    assert_eq!(world.get("/v2/models/late_arrival/ready").await.json()["ready"], true);
    let metadata = world.get("/v2/models/late_arrival").await.json();
    assert_eq!(metadata["inputs"][0]["name"], "carrier");
    assert_eq!(metadata["inputs"][4], json!({"name": "flight_id", "datatype": "BYTES", "shape": [-1]}));
    assert_eq!(metadata["outputs"][0], json!({"name": "score", "datatype": "FP64", "shape": [-1]}));
    assert_eq!(metadata["versions"], json!(["2"]));
    let config = world.get("/v2/models/late_arrival/config").await.json();
    assert_eq!(config["input"][0], json!({"name": "carrier", "data_type": "TYPE_STRING", "dims": [1]}));
    let index = world.post("/v2/repository/index", "").await.json();
    assert_eq!(index[0]["state"], "READY", "an empty body is a request for everything");
    infer(&world, request()).await;
    let stats = world.get("/v2/models/late_arrival/stats").await.json();
    assert_eq!(stats["model_stats"][0]["inference_count"], 2);
}

#[tokio::test]
async fn compressed_bodies_are_unpacked_up_to_the_limit() {
    let world = World::make().await;
    let send = async |encoding: &str, body: Vec<u8>| {
        world.send(world.request("POST", INFER).header(header::CONTENT_ENCODING, encoding).body(Body::from(body)).unwrap()).await
    };
    let plain = request().to_string();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(plain.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    assert_eq!(send("gzip", gzip.clone()).await.status, 200);
    let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    deflate.write_all(plain.as_bytes()).unwrap();
    assert_eq!(send("deflate", deflate.finish().unwrap()).await.status, 200);
    assert_eq!(send("gzip", gzip[..20].to_vec()).await.status, 400);
    assert_eq!(send("br", plain.into_bytes()).await.status, 400);
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b' '; 8 << 20]).unwrap();
    assert_eq!(send("gzip", bomb.finish().unwrap()).await.status, 413);
}

#[tokio::test]
async fn binary_tensors_go_in_and_out() {
    let world = World::make().await;
    let mut tensors = Vec::new();
    for text in ["UA", "AA"] {
        tensors.extend_from_slice(&(text.len() as u32).to_le_bytes());
        tensors.extend_from_slice(text.as_bytes());
    }
    let n_text_bytes = tensors.len();
    for number in [100.0_f32, 400.0] {
        tensors.extend_from_slice(&number.to_le_bytes());
    }
    let head = json!({
        "inputs": [
            {"name": "carrier", "shape": [2, 1], "datatype": "BYTES", "parameters": {"binary_data_size": n_text_bytes}},
            {"name": "distance", "shape": [2, 1], "datatype": "FP32", "parameters": {"binary_data_size": 8}},
        ],
        "outputs": [{"name": "score", "parameters": {"binary_data": true}}, {"name": "predicted", "parameters": {"binary_data": false}}],
    })
    .to_string();
    let send = async |head: &str, tensors: &[u8]| {
        let body = [head.as_bytes(), tensors].concat();
        let request = world.request("POST", INFER).header("Inference-Header-Content-Length", head.len());
        world.send(request.body(Body::from(body)).unwrap()).await
    };
    let answer = send(&head, &tensors).await;
    let length: usize = answer.headers["inference-header-content-length"].to_str().unwrap().parse().unwrap();
    let (json, scores) = answer.body.split_at(length);
    let json: Value = serde_json::from_slice(json).unwrap();
    assert_eq!(output(&json, "score")["parameters"]["binary_data_size"], 16);
    assert_eq!(output(&json, "predicted")["data"], json!([false, true]));
    let second = f64::from_le_bytes(scores[8..16].try_into().unwrap());
    assert!((second - 0.6).abs() < 1e-6, "{second}");

    assert_eq!(send(&head, &tensors[..10]).await.status, 400, "too few bytes");
    assert_eq!(send(&head, &[tensors.as_slice(), b"x"].concat()).await.status, 400, "too many bytes");
    let wrong = head.replace("\"binary_data_size\":8", "\"binary_data_size\":7");
    assert_ne!(wrong, head);
    assert_eq!(send(&wrong, &tensors[..tensors.len() - 1]).await.status, 400, "half a number");
}

//! The `train` part of a model's file, as it is written and as it is refused.

use lw_stats::Task;
use lw_training::TrainDefinition;
use serde_json::{Value, json};

fn definition() -> Value {
    json!({
        "window": "120d",
        "holdout": "14d",
        "seed": 7,
        "candidates": [
            {"name": "baseline", "trainer": "baseline"},
            {"name": "linear", "trainer": "logistic", "params": {"l2": 1.0}},
            {
                "name": "boosting", "trainer": "gradient_boosting", "params": {"n_rounds": 200},
                "study": {
                    "trials": 6, "sampler": "tpe",
                    "space": {"num_leaves": {"choice": [15, 31, 63]}, "learning_rate": {"log": [0.03, 0.2]}},
                },
            },
            {"name": "mine", "trainer": "python", "script": "train.py"},
        ],
        "choose_by": "log_loss",
    })
}

#[track_caller]
fn refuses(change: impl FnOnce(&mut Value), message: &str, hint: &str) {
    let mut text = definition();
    change(&mut text);
    let definition: TrainDefinition = serde_json::from_value(text).unwrap();
    let error = definition.check(Task::BinaryClassification).unwrap_err();
    assert!(error.message().contains(message), "{error}");
    assert!(error.hint_text().unwrap().contains(hint), "{error:?}");
}

#[test]
fn a_good_definition_is_taken_and_written_as_it_was() {
    let parsed: TrainDefinition = serde_json::from_value(definition()).unwrap();
    parsed.check(Task::BinaryClassification).unwrap();
    let written = serde_json::to_value(&parsed).unwrap();
    assert_eq!(serde_json::from_value::<TrainDefinition>(written).unwrap(), parsed);
    assert!(serde_json::from_value::<TrainDefinition>(json!({"window": "1d", "holdout": "1d", "windows": 3})).is_err());
}

#[test]
fn a_definition_that_makes_no_sense_is_answered_with_what_to_write() {
    refuses(|text| text["window"] = json!("0d"), "must be longer than nothing", "window: 120d");
    refuses(|text| text["candidates"] = json!([]), "no candidates", "trainer: baseline");
    refuses(|text| text["choose_by"] = json!("rmse"), "choose_by: rmse", "auc");
    refuses(|text| text["candidates"][1]["name"] = json!("baseline"), "two candidates are named `baseline`", "of its own");
    refuses(
        |text| text["candidates"][1]["trainer"] = json!("linear"),
        "candidate `linear`: trainer linear does not suit",
        "logistic",
    );
    refuses(|text| text["candidates"][1]["params"] = json!({"l3": 1}), "no parameter `l3`", "did you mean `l2`?");
    refuses(|text| text["candidates"][2]["params"]["n_rounds"] = json!(0.5), "`n_rounds` is 0.5", "a whole number");
    refuses(|text| text["candidates"][3]["script"] = Value::Null, "no script", "script: scripts/train.py");
    refuses(|text| text["candidates"][0]["python"] = json!("python3"), "runs no script", "trainer: python");
    refuses(|text| text["candidates"][2]["study"]["trials"] = json!(0), "needs trials", "trials: 20");
    refuses(|text| text["candidates"][2]["study"]["space"]["num_leafs"] = json!({"int": [2, 4]}), "`num_leafs`", "`num_leaves`");
    refuses(
        |text| text["candidates"][2]["study"]["space"]["learning_rate"] = json!({"log": [0.0, 1.0]}),
        "upside down",
        "low above 0",
    );
    refuses(
        |text| text["candidates"][2]["study"]["space"]["learning_rate"] = json!({"log": [0.1, 7.0]}),
        "`learning_rate` is 7",
        "1",
    );
    let study = json!({"trials": 2, "space": {"x": {"int": [1, 2]}}});
    refuses(|text| text["candidates"][3]["study"] = study, "a python candidate has no study", "fixed `params`");
}

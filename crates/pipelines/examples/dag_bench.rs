//! How fast the engine goes from step to step: 100 steps that do nothing, each durable before the next begins.
//!
//! `cargo run --release -p lw-pipelines --example dag_bench -- [STEPS] [FOLDER]` prints one JSON object a shape: `chain` is one
//! after the other (nothing can be grouped: one commit a step), `layers` is ten wide.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use lw_core::{Actor, Ctx, Name, Result};
use lw_pipelines::*;
use lw_store::{MetadataUrl, Store};
use serde_json::{Value, json};

struct Noop;

#[async_trait]
impl StepRunner for Noop {
    async fn run(&self, _context: StepContext) -> Result<StepOutput> {
        Ok(StepOutput::done(Value::Null))
    }
}

fn shape(name: &str, n_steps: usize, width: usize) -> PipelineDefinition {
    let step = |n: usize| {
        let layer_before = (n / width).checked_sub(1).map(|layer| layer * width..(layer + 1) * width);
        let needs: Vec<String> = layer_before.into_iter().flatten().map(|need| format!("s{need}")).collect();
        let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
        StepDefinition::new(&format!("s{n}"), "noop", Value::Null).needs(&needs)
    };
    let pipeline = Name::parse(name).expect("the shapes have good names");
    PipelineDefinition { pipeline, description: String::new(), steps: (0..n_steps).map(step).collect(), schedule: None }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let n_steps: usize = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(100);
    let folder =
        arguments.next().map_or_else(std::env::temp_dir, PathBuf::from).join(format!("dag-bench-{}", std::process::id()));
    let ctx = Ctx::real(Actor::new("bench"), "bench");
    let pipelines = Pipelines::new(Store::open(&MetadataUrl::sqlite(folder.join("metadata.db")))?);
    let worker = Worker::new(&ctx, pipelines.clone(), Arc::new(Noop), WorkerOptions::new("bench", 16));
    for (name, width) in [("chain", 1), ("layers", 10), ("wide", n_steps)] {
        let begin = Instant::now();
        let started = pipelines.start_definition(&ctx, shape(name, n_steps, width), Start::by_hand()).await?;
        worker.drain(&ctx).await?;
        let seconds = begin.elapsed().as_secs_f64();
        let state = pipelines.run(&started.run).await?.summary.state;
        let line = json!({"shape": name, "n_steps": n_steps, "seconds": seconds, "ms_per_step": 1e3 * seconds / n_steps as f64, "state": state});
        #[expect(clippy::print_stdout, reason = "the benchmark's answer")]
        {
            println!("{line}");
        }
    }
    drop((worker, pipelines));
    let _ = std::fs::remove_dir_all(folder);
    Ok(())
}

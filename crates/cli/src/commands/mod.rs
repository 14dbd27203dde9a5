//! One module for each part of the lifecycle; each command is a call or two of the HTTP API and a rendering of its answer.

mod access;
mod answers;
mod audit;
mod doctor;
mod follow;
mod governance;
mod lineage;
mod local;
mod pipelines;
mod project;
mod replay;
mod run;
mod server;
mod sql;
mod tracking;

use lw_core::Error;

use crate::args::{Cli, Command, Import};
use crate::connect::connect;
use crate::import;

/// One failure or, for `check`, all that were found.
pub type Failures = Vec<Error>;

/// Runs one command.
pub async fn run(cli: Cli) -> Result<(), Failures> {
    let Cli { global, command } = cli;
    match command {
        Command::Init { directory } => one(local::init(&directory)),
        Command::Explain { code } => one(local::explain(code.as_deref(), global.json)),
        Command::Schema { kind } => one(local::schema(kind.as_deref())),
        Command::Completions { shell } => one(local::completions(shell)),
        Command::Doctor => one(doctor::doctor(&global).await),
        Command::Check => project::check(&global),
        Command::Up(up) => one(server::up(&global, &up).await),
        Command::Replay(replay) => one(replay::replay(&global, &replay).await),
        other => one(with_client(&global, other).await),
    }
}

async fn with_client(global: &crate::args::Global, command: Command) -> lw_core::Result<()> {
    let connection = connect(global, works(&command)).await?;
    let client = &connection.client;
    let json = global.json;
    let result = match command {
        Command::Plan => project::plan(client, global).await,
        Command::Apply => project::apply(client, global).await,
        Command::Run { pipeline, params, detach } => pipelines::run(&connection, &pipeline, params, detach, json).await,
        Command::Ingest { source } => run::ingest(client, source.as_deref(), json).await,
        Command::Materialize { view } => run::materialize(client, view.as_deref(), json).await,
        Command::Approve(decision) => governance::decide(client, &decision, true, json).await,
        Command::Reject(decision) => governance::decide(client, &decision, false, json).await,
        Command::Why { model } => answers::why(client, &model, json).await,
        Command::Reproduce { version } => run::reproduce(client, &version, json).await,
        Command::Models { model } => answers::models(client, model.as_deref(), json).await,
        Command::Experiments(search) => tracking::experiments(client, &search, json).await,
        Command::Gc { older_than, remove } => tracking::collect(client, &older_than, remove, json).await,
        Command::Pipelines { pipeline } => pipelines::pipelines(&connection, pipeline.as_deref(), json).await,
        Command::Runs(runs) => pipelines::runs(&connection, &runs, json).await,
        Command::Logs { run, step, follow } => pipelines::logs(&connection, &run, step.as_deref(), follow, json).await,
        Command::Cancel { run } => pipelines::cancel(&connection, &run, json).await,
        Command::Resume { run, detach } => pipelines::resume(&connection, &run, detach, json).await,
        Command::Sql(asked) => sql::sql(client, &asked, json).await,
        Command::Tables { table: Some(table), quarantine: true, rule, limit, .. } => {
            answers::quarantine(client, &table, rule.as_deref(), limit, json).await
        }
        Command::Tables { table: Some(table), verdicts: true, .. } => answers::verdicts(client, &table, json).await,
        Command::Tables { table, .. } => answers::tables(client, table.as_deref(), json).await,
        Command::Features { view } => answers::features(client, view.as_deref(), json).await,
        Command::Alerts => answers::alerts(client, json).await,
        Command::Skew { model, window, sample } => answers::skew(client, &model, &window, sample, json).await,
        Command::Predict { endpoint, fields } => run::predict(client, &endpoint, &fields, json).await,
        Command::Rollback { endpoint, reason } => governance::rollback(client, &endpoint, &reason, json).await,
        Command::Retire { endpoint, reason } => governance::retire(client, &endpoint, &reason, json).await,
        Command::Audit(audit) => audit::audit(client, &audit, json).await,
        Command::Lineage(arguments) => lineage::lineage(client, &arguments, json).await,
        Command::Import(Import::Mlflow(wanted)) => import::mlflow(client, &wanted, json).await,
        Command::Whoami => access::whoami(client, json).await,
        Command::Identity(command) => access::identity(client, &command, json).await,
        Command::Token(command) => access::token(client, &command, json).await,
        Command::Status => answers::status(client, json).await,
        local => Err(Error::bug(format!("{local:?} needs no client"))),
    };
    connection.close().await;
    result
}

/// Whether a command without a server must run steps itself, as it waits for what they do.
fn works(command: &Command) -> bool {
    match command {
        Command::Run { detach, .. } | Command::Resume { detach, .. } => !detach,
        Command::Ingest { .. } | Command::Approve(_) | Command::Reject(_) => true,
        _ => false,
    }
}

fn one(result: lw_core::Result<()>) -> Result<(), Failures> {
    result.map_err(|error| vec![error])
}

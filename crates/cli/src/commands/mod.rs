//! One module for each part of the lifecycle; each command is a call or two of the HTTP API and a rendering of its answer.

mod access;
mod answers;
mod audit;
mod doctor;
mod governance;
mod lineage;
mod local;
mod project;
mod replay;
mod run;
mod server;

use lw_core::Error;

use crate::args::{Cli, Command};
use crate::connect::connect;

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
    let connection = connect(global).await?;
    let client = &connection.client;
    let json = global.json;
    let result = match command {
        Command::Plan => project::plan(client, global).await,
        Command::Apply => project::apply(client, global).await,
        Command::Run { model, detach } => run::model(client, &model, detach, json).await,
        Command::Ingest { source } => run::ingest(client, source.as_deref(), json).await,
        Command::Materialize { view } => run::materialize(client, view.as_deref(), json).await,
        Command::Approve(decision) => governance::decide(client, &decision, true, json).await,
        Command::Reject(decision) => governance::decide(client, &decision, false, json).await,
        Command::Why { model } => answers::why(client, &model, json).await,
        Command::Reproduce { version } => run::reproduce(client, &version, json).await,
        Command::Models { model } => answers::models(client, model.as_deref(), json).await,
        Command::Runs { limit } => answers::runs(client, limit, json).await,
        Command::Pipelines { run } => answers::pipelines(client, run.as_deref(), json).await,
        Command::Tables { table } => answers::tables(client, table.as_deref(), json).await,
        Command::Features { view } => answers::features(client, view.as_deref(), json).await,
        Command::Alerts => answers::alerts(client, json).await,
        Command::Predict { endpoint, fields } => run::predict(client, &endpoint, &fields, json).await,
        Command::Rollback { endpoint, reason } => governance::rollback(client, &endpoint, &reason, json).await,
        Command::Audit(audit) => audit::audit(client, &audit, json).await,
        Command::Lineage(arguments) => lineage::lineage(client, &arguments, json).await,
        Command::Whoami => access::whoami(client, json).await,
        Command::Identity(command) => access::identity(client, &command, json).await,
        Command::Token(command) => access::token(client, &command, json).await,
        Command::Status => answers::status(client, json).await,
        local => Err(Error::bug(format!("{local:?} needs no client"))),
    };
    connection.close().await;
    result
}

fn one(result: lw_core::Result<()>) -> Result<(), Failures> {
    result.map_err(|error| vec![error])
}

//! The command line, with help that teaches.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use lw_core::{Span, Timestamp};

/// The whole life of a machine-learning model as one governed, versioned loop.
///
/// Start with `loopwright init my_project`, then `loopwright check`, `plan`, `apply` and `run MODEL`. `loopwright why MODEL` answers
/// which version is running, what data trained it, which features it uses, who approved it and what changed.
#[derive(Debug, Parser)]
#[command(name = "loopwright", version, max_term_width = 110, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
pub struct Global {
    /// The project's folder.
    #[arg(long, global = true, value_name = "DIR", default_value = ".", env = "LOOPWRIGHT_PROJECT")]
    pub project: PathBuf,
    /// The workspace's folder [default: .loopwright in the project].
    #[arg(long, global = true, value_name = "DIR", env = "LOOPWRIGHT_WORKSPACE")]
    pub workspace: Option<PathBuf>,
    /// A running server; without one the command opens the workspace itself.
    #[arg(long, global = true, value_name = "URL", env = "LOOPWRIGHT_SERVER")]
    pub server: Option<String>,
    /// The token to show [default: the workspace's own, which may do everything].
    #[arg(long, global = true, value_name = "TOKEN", env = "LOOPWRIGHT_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Who acts, as the ledger records it [default: the user's login name]. A token of somebody's own acts for its holder alone.
    #[arg(long = "as", global = true, value_name = "ACTOR", env = "LOOPWRIGHT_ACTOR")]
    pub actor: Option<String>,
    /// Print the answer as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(flatten)]
    pub storage: Storage,
}

/// Where a workspace that this process opens keeps its state.
#[derive(Debug, Clone, Args)]
pub struct Storage {
    /// The metadata database: sqlite:///path or postgres://… [default: metadata.db in the workspace].
    #[arg(long, global = true, value_name = "URL", env = "LOOPWRIGHT_METADATA")]
    pub metadata: Option<String>,
    /// The artifact store: file:///path or s3://bucket/prefix [default: artifacts/ in the workspace].
    #[arg(long, global = true, value_name = "URL", env = "LOOPWRIGHT_ARTIFACTS")]
    pub artifacts: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a small project that works, to start from.
    Init {
        /// The folder to make.
        directory: PathBuf,
    },
    /// Check every file of the project without touching any state: types, SQL, references, policies.
    Check,
    /// Show what `apply` would change, and what that invalidates downstream.
    Plan,
    /// Make the project's definitions the ones that run.
    Apply,
    /// Run a pipeline now: a model's (ingest, build features, train, evaluate, gate, release) or one of the project's own.
    Run {
        /// A model, or a pipeline of the project.
        pipeline: String,
        /// A parameter that the pipeline declares, such as day=2024-06-01. Again for each one.
        #[arg(long = "param", value_name = "NAME=TEXT", value_parser = parameter)]
        params: Vec<(String, String)>,
        /// Return at once instead of following the run. A server works on it; without one it stays queued.
        #[arg(long)]
        detach: bool,
    },
    /// Ingest one source, or all of them.
    Ingest { source: Option<String> },
    /// Bring the online store up to date for one feature view, or all of them.
    Materialize { view: Option<String> },
    /// Approve a model version that waits for it.
    Approve(Decision),
    /// Refuse a model version that waits for approval.
    Reject(Decision),
    /// Answer the five questions about a model, each with its evidence in the ledger.
    Why {
        /// The model, or one version of it: late_arrival or late_arrival@3.
        model: String,
    },
    /// Build a model version again from its record and compare the digests.
    Reproduce {
        /// The version: late_arrival@3.
        version: String,
    },
    /// Run the whole loop over history on a simulated clock: predictions, late labels, drift, retraining.
    Replay(ReplayArgs),
    /// List models, or show the versions of one.
    Models { model: Option<String> },
    /// Search the tracked runs of experiments, newest first.
    Experiments(Experiments),
    /// Show what was deleted long ago and which artifacts nothing mentions any more, or remove both for good.
    Gc {
        /// How long something must have been deleted or unmentioned, such as 7d or 12h.
        #[arg(long, default_value = "30d")]
        older_than: String,
        /// Remove it. Names of removed experiments are free again; the ledger keeps that they were there.
        #[arg(long)]
        remove: bool,
    },
    /// List pipelines with their newest run and next scheduled time, or show the steps of one.
    Pipelines { pipeline: Option<String> },
    /// List runs of pipelines, newest first, or show one of them: runs show RUN.
    Runs(Runs),
    /// Print what the steps of a run wrote.
    Logs {
        /// The id of a run, its first digits, or a pipeline for its newest run.
        run: String,
        /// Only this step.
        step: Option<String>,
        /// Go on until the run is over.
        #[arg(long, short)]
        follow: bool,
    },
    /// Stop a run: steps that run are told to end, no other begins.
    Cancel {
        /// The id of a run, its first digits, or a pipeline for its newest run.
        run: String,
    },
    /// Continue a run that failed or was cancelled: finished steps stay finished.
    Resume {
        /// The id of a run, its first digits, or a pipeline for its newest run.
        run: String,
        /// Return at once instead of following the run.
        #[arg(long)]
        detach: bool,
    },
    /// Read tables with SQL: loopwright sql "SELECT carrier, avg(arr_delay) FROM flights GROUP BY carrier".
    ///
    /// Tables are called flights, quarantine.flights, prediction.late_arrival, training_set.late_arrival; flights@3 is version 3.
    /// information_schema.tables lists them.
    Sql(Sql),
    /// List tables, or show the versions of one, or its rows in quarantine.
    Tables {
        table: Option<String>,
        /// Show the rows that broke the contract, newest first, each with the rule and the reason.
        #[arg(long, requires = "table")]
        quarantine: bool,
        /// Show what every rule of the contract said of the newest version's batch, and of batches that were refused.
        #[arg(long, requires = "table", conflicts_with = "quarantine")]
        verdicts: bool,
        /// Only rows that this rule kept out, such as `amount.min`.
        #[arg(long, requires = "quarantine")]
        rule: Option<String>,
        #[arg(long, requires = "quarantine", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// List feature views, or show one.
    Features { view: Option<String> },
    /// List alerts, firing first.
    Alerts,
    /// Compare what the champion's newest predictions saw online with what the tables say was known then.
    Skew {
        model: String,
        /// How far to look back, such as 1d or 12h.
        #[arg(long, default_value = "7d")]
        window: String,
        /// How many predictions to compute again, at most.
        #[arg(long, default_value_t = 1000)]
        sample: u64,
    },
    /// Ask an endpoint for a prediction.
    Predict {
        endpoint: String,
        /// One JSON object of request fields, or `-` for standard input.
        fields: String,
    },
    /// Make an endpoint serve its previous deployment again.
    Rollback {
        endpoint: String,
        /// Why; it goes into the ledger.
        #[arg(long)]
        reason: String,
    },
    /// Take an endpoint out of service, so that its model can be removed from the project.
    Retire {
        endpoint: String,
        /// Why; it goes into the ledger.
        #[arg(long)]
        reason: String,
    },
    /// Read, verify and export the ledger.
    #[command(subcommand)]
    Audit(Audit),
    /// Show what a version was made from, or what was made from it, as a tree.
    Lineage(LineageArgs),
    /// Bring what another system recorded, with its own ids and times.
    #[command(subcommand)]
    Import(Import),
    /// Show who you are to the server, and what you may do.
    Whoami,
    /// Manage people and services, and their roles.
    #[command(subcommand)]
    Identity(Identity),
    /// Manage the tokens of people and services.
    #[command(subcommand)]
    Token(Token),
    /// Start the server; prints one line with its address when it is ready.
    Up(Up),
    /// Show the state of the workspace or server.
    Status,
    /// Find out why something does not work on this machine.
    Doctor,
    /// Explain an error code.
    Explain { code: Option<String> },
    /// Print the JSON Schema of a kind of project file, for editors.
    Schema {
        /// project, source, feature_view, model, pipeline or policy.
        kind: Option<String>,
    },
    /// Print a completion script for a shell.
    Completions { shell: Shell },
}

#[derive(Debug, Args)]
pub struct Experiments {
    /// Only runs of these experiments: names or ids.
    pub experiments: Vec<String>,
    /// Only runs that match: metrics.auc > 0.7 AND (params.depth = '3' OR NOT tags.stage = 'test').
    #[arg(long, default_value = "")]
    pub filter: String,
    /// The order: "metrics.auc DESC". Again for each further key.
    #[arg(long, value_name = "KEY")]
    pub order_by: Vec<String>,
    /// What to show of each run: metrics.auc, params.depth, tags.stage. Again for each one.
    #[arg(long = "column", value_name = "KEY", value_parser = column)]
    pub columns: Vec<(String, String)>,
    #[arg(long, default_value_t = 20)]
    pub limit: u32,
    /// The token of the page before.
    #[arg(long, value_name = "TOKEN", default_value = "")]
    pub page_token: String,
}

/// Reads `metrics.auc`.
fn column(text: &str) -> Result<(String, String), String> {
    match text.split_once('.') {
        Some((kind @ ("metrics" | "params" | "tags"), key)) if !key.is_empty() => Ok((kind.to_owned(), key.to_owned())),
        _ => Err("write metrics.KEY, params.KEY or tags.KEY, like metrics.auc".to_owned()),
    }
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Runs {
    #[command(subcommand)]
    pub command: Option<RunsCommand>,
    /// Only runs of this pipeline.
    pub pipeline: Option<String>,
    /// Only runs in this state.
    #[arg(long, value_parser = RUN_STATES)]
    pub state: Option<String>,
    #[arg(long, default_value_t = 20)]
    pub limit: usize,
}

const RUN_STATES: [&str; 8] = ["queued", "running", "waiting", "cancelling", "succeeded", "refused", "failed", "cancelled"];

#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// Show one run: its steps with state, attempts, duration and errors.
    Show {
        /// The id of a run, its first digits, or a pipeline for its newest run.
        run: String,
    },
}

/// Reads `127.0.0.1:8760`, or a name of this machine like `localhost:8760`; of its addresses the first, IPv4 before IPv6.
fn listening_address(text: &str) -> Result<SocketAddr, String> {
    let found = text.to_socket_addrs().map_err(|error| format!("write HOST:PORT, like 127.0.0.1:8760 ({error})"))?;
    found.min_by_key(SocketAddr::is_ipv6).ok_or_else(|| format!("`{text}` has no address"))
}

/// Reads `name=text`.
fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write name=text, like day=2024-06-01".to_owned()),
    }
}

#[derive(Debug, Args)]
pub struct Decision {
    /// The version: late_arrival@3.
    pub version: String,
    /// Why; it goes into the ledger.
    #[arg(long)]
    pub reason: String,
}

#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The model [default: the one named in loopwright.yaml].
    pub model: Option<String>,
    /// First simulated day.
    #[arg(long, value_name = "DATE")]
    pub from: Option<String>,
    /// Last simulated day.
    #[arg(long, value_name = "DATE")]
    pub to: Option<String>,
    /// The folder for the report.
    #[arg(long, value_name = "DIR", default_value = "report")]
    pub report: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Check the chain, the sequence and every business row against the ledger.
    Verify,
    /// List entries, oldest first. All conditions must hold.
    Log(AuditLog),
    /// Write entries as JSON Lines in their canonical bytes, for whoever verifies the chain without this program.
    Export {
        /// From the first entry at or after this time: a date or an RFC 3339 time.
        #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
        from: Option<Timestamp>,
        /// Up to the last entry before this time.
        #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
        to: Option<Timestamp>,
        /// The file to write [default: standard output].
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub struct AuditLog {
    /// Only entries that mention this: model_version/late_arrival@3, or model/late_arrival.
    #[arg(long)]
    pub subject: Option<String>,
    /// Only what this person, service or part of the platform did: ana, service:ci, loopwright:monitor.
    #[arg(long = "actor", value_name = "WHO")]
    pub by: Option<String>,
    /// Only this action, or all of a noun: approval.grant, "approval.*".
    #[arg(long)]
    pub action: Option<String>,
    /// Only entries from this time on: a date or an RFC 3339 time.
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    pub from: Option<Timestamp>,
    /// Only entries before this time.
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    pub to: Option<Timestamp>,
    /// Only entries beyond this one: the last of the page before.
    #[arg(long, value_name = "SEQ")]
    pub after: Option<u64>,
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Newest first.
    #[arg(long)]
    pub newest: bool,
}

#[derive(Debug, Args)]
pub struct LineageArgs {
    /// Where to start: table/flights@3, model_version/late_arrival@2. Without a version: from all of them.
    pub subject: String,
    /// What it was made from; this is the default.
    #[arg(long, conflicts_with = "downstream")]
    pub upstream: bool,
    /// What was made from it.
    #[arg(long)]
    pub downstream: bool,
    /// Steps from the start.
    #[arg(long)]
    pub depth: Option<u32>,
    /// The most versions to show.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
}

#[derive(Debug, Subcommand)]
pub enum Identity {
    /// List people and services with their roles.
    List {
        /// Only names after this one: the last of the page before.
        #[arg(long, value_name = "NAME")]
        after: Option<String>,
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show one person or service.
    Show { name: String },
    /// Add a person (ana, ana@example.org) or a service (service:ci).
    Create {
        name: String,
        /// What people call them [default: the name].
        #[arg(long, default_value = "", hide_default_value = true)]
        display_name: String,
        /// What they may do: viewer, predictor, engineer, approver or admin. Again for each role.
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
    },
    /// Give roles; they count from the next request on.
    Grant {
        name: String,
        #[arg(required = true, value_name = "ROLE")]
        roles: Vec<String>,
    },
    /// Take roles back.
    Revoke {
        name: String,
        #[arg(required = true, value_name = "ROLE")]
        roles: Vec<String>,
    },
    /// Accept none of their tokens from now on.
    Disable { name: String },
    /// Accept their tokens again.
    Enable { name: String },
}

#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token and print it, this once. Whoever has it acts as its holder.
    Create {
        /// The person or service that it acts for.
        name: String,
        /// Where it will be used, so that you know later which one to revoke.
        #[arg(long, default_value = "", hide_default_value = true)]
        label: String,
        /// When it ends by itself, such as 12h or 30d; 366d at most.
        #[arg(long, value_name = "SPAN", default_value = "90d")]
        expires: String,
    },
    /// List tokens without their secrets, newest first.
    List {
        /// Only those of this person or service.
        name: Option<String>,
        /// Only your own; every valid token may ask.
        #[arg(long, conflicts_with = "name")]
        mine: bool,
        /// Only tokens after this one: the last of the page before.
        #[arg(long, value_name = "ID")]
        after: Option<String>,
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Take a token back for good. It is accepted no more from this moment on.
    Revoke {
        /// The id, as `token list` shows it; not the token itself.
        id: String,
        /// A token of your own; every valid token may.
        #[arg(long)]
        mine: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum Import {
    /// Bring experiments, runs, metrics, models and artifacts from an MLflow server or its database.
    ///
    /// The same command goes on where an import stopped, and brings nothing twice. Give users and passwords of the server by
    /// MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.
    Mlflow(MlflowImport),
}

#[derive(Debug, Clone, Args)]
pub struct MlflowImport {
    /// The server (http://mlflow.example.org:5000) or its database (sqlite:///mlflow.db).
    #[arg(long, value_name = "ADDRESS")]
    pub from: String,
    /// With a database: the folder that the server has as --artifacts-destination, or to which its artifacts were moved.
    #[arg(long, value_name = "DIR")]
    pub artifacts_from: Option<PathBuf>,
    /// Bring no artifact files.
    #[arg(long, conflicts_with = "artifacts_from")]
    pub no_artifacts: bool,
    /// Only this experiment, and no registered models. Again for each one.
    #[arg(long = "experiment", value_name = "NAME")]
    pub experiments: Vec<String>,
    /// Say what would be brought, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct Sql {
    /// One SELECT, or `-` for standard input.
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub statement: Option<String>,
    /// The file that holds it.
    #[arg(long, short, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The value of the next parameter (`?`, or $1, $2, …): a number, true, false, null, or else a text. Again for each one.
    #[arg(long = "param", value_name = "VALUE", allow_hyphen_values = true)]
    pub params: Vec<String>,
    /// How rows are written [default: as the name of the output ends, else table].
    #[arg(long, value_enum)]
    pub format: Option<RowFormat>,
    /// The file to write; it appears once it is complete [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// No more rows than these [default: all of them; 1000 in a table].
    #[arg(long)]
    pub limit: Option<u64>,
    /// When to give up, such as 30s or 10m; 1h at most.
    #[arg(long, value_name = "SPAN", default_value = "5m", value_parser = Span::parse)]
    pub timeout: Span,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RowFormat {
    /// Columns under titles, to look at.
    Table,
    Csv,
    /// One array of objects.
    Json,
    /// One object a line.
    Jsonl,
    /// An Arrow IPC stream.
    Arrow,
    Parquet,
}

#[derive(Debug, Args)]
pub struct Up {
    /// The address to listen on.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8760", value_parser = listening_address)]
    pub listen: SocketAddr,
    /// Serve Arrow Flight SQL, too, on this address: ADBC, JDBC and notebooks read tables there.
    #[arg(long, value_name = "HOST:PORT", value_parser = listening_address)]
    pub flight: Option<SocketAddr>,
    /// Serve without tokens; allowed on loopback only.
    #[arg(long)]
    pub no_auth: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_are_addresses() {
        assert_eq!(listening_address("127.0.0.1:8760").map(|address| address.to_string()), Ok("127.0.0.1:8760".to_owned()));
        assert!(listening_address("localhost:8791").is_ok_and(|address| address.ip().is_loopback() && address.port() == 8791));
        assert!(listening_address("8791").is_err_and(|error| error.contains("HOST:PORT")));
    }
}

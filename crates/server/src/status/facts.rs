//! What the page knows about one model: read together, judged in [`super::stage`].

use lw_core::{Entry, Name, Result, Span, Subject, SubjectKind, Timestamp};
use lw_governance::Answers;
use lw_monitoring::{Alert, Monitoring, RetrainRequest};
use lw_pipelines::{Pipelines, RunView};
use lw_registry::{Approval, AttachedReport, GateDecision, Model, ModelVersion, Registry};
use lw_serving::{Deployment, Tally};
use lw_store::{EntryFilter, Mention, Store};

use crate::app::App;

/// Everything about one model that its loop is drawn from. The newest version is the one on its way; what serves is in `deployment`.
pub struct ModelFacts {
    pub model: Model,
    pub newest: Option<ModelVersion>,
    /// The newest entry about each table and each view that the newest version was made from.
    pub data: Vec<Entry>,
    pub features: Vec<Entry>,
    pub report: Option<AttachedReport>,
    pub gates: Option<GateDecision>,
    pub approvals: Vec<Approval>,
    /// How many people must approve the newest version.
    pub n_approvals: u64,
    pub run: Option<RunView>,
    pub deployment: Option<Deployment>,
    /// None if this process does not serve the model.
    pub live: Option<Live>,
    pub alerts: Vec<Alert>,
    pub retraining: Option<RetrainRequest>,
}

/// The model's endpoint in this process.
pub struct Live {
    pub generation: u64,
    pub tallies: Vec<Tally>,
    pub n_waiting: u64,
}

impl ModelFacts {
    pub async fn read(app: &App, model: Model, now: Timestamp) -> Result<Self> {
        let (store, name) = (app.store(), model.name.clone());
        let registry = Registry::new(store.clone());
        let newest = registry.latest_version(&name).await?;
        let (mut answers, mut report, mut gates, mut approvals, mut n_approvals) = (None, None, None, Vec::new(), 1);
        if let Some(newest) = &newest {
            answers = Some(lw_governance::why(store, &name, Some(newest.version)).await?);
            report = registry.report(&name, newest.version).await?;
            gates = registry.gate_decision(&name, newest.version).await?;
            approvals = registry.approvals(&name, newest.version).await?;
            let rule = match app.workspace() {
                Ok(workspace) => workspace.approval_rule(&name).await?,
                Err(_) => None,
            };
            n_approvals = rule.map_or(1, |rule| rule.needed(newest)).max(1);
        }
        let subjects = |answers: &Answers, is_data: bool| -> Vec<Subject> {
            // A view names its source; the source's table carries the version. Without either, the training set is told.
            let is_origin = |subject: &&Subject| matches!(subject.kind, SubjectKind::Table | SubjectKind::Source);
            let data = answers.data.iter().map(|fact| &fact.subject);
            // Lineage names the folder too (`data/flights`); the ledger's commits name the table alone.
            let table = |subject: &Subject| {
                let name = subject.name.rsplit('/').next().unwrap_or(&subject.name);
                Subject::unversioned(SubjectKind::Table, name)
            };
            let mut tables: Vec<Subject> = data.clone().filter(is_origin).map(table).collect();
            tables.sort();
            tables.dedup();
            match (is_data, tables.is_empty()) {
                (true, false) => tables,
                (true, true) => data.map(|subject| Subject::unversioned(subject.kind, &subject.name)).collect(),
                (false, _) => answers.features.iter().map(|fact| Subject::unversioned(fact.view.kind, &fact.view.name)).collect(),
            }
        };
        let made_from = |is_data: bool| answers.as_ref().map_or_else(Vec::new, |answers| subjects(answers, is_data));
        let monitoring = Monitoring::new(store.clone());
        // A run that starts in this very moment counts.
        let project_name = Name::parse(name.as_str()).ok();
        let (mut runs, mut alerts, mut retraining) = (Vec::new(), Vec::new(), None);
        // Only models of projects have pipelines and monitors, and those have plain names.
        if let Some(name) = &project_name {
            runs = Pipelines::new(store.clone()).views(Some(name), now + Span::from_secs(1), 1).await?;
            alerts = monitoring.alerts(Some(name)).await?;
            retraining = monitoring.requests(name, 1).await?.into_iter().next();
        }
        let deployments = lw_serving::all_current(store).await?;
        let endpoints = app.endpoints().endpoints();
        let live = endpoints.iter().find(|endpoint| name == *endpoint.name()).map(|endpoint| Live {
            generation: endpoint.routes().deployment().generation,
            tallies: endpoint.tallies(),
            n_waiting: endpoint.log().n_waiting(),
        });
        Ok(Self {
            data: newest_entries(store, made_from(true)).await?,
            features: newest_entries(store, made_from(false)).await?,
            run: runs.into_iter().next(),
            deployment: deployments.into_iter().find(|deployment| name == deployment.endpoint),
            alerts,
            retraining,
            model,
            newest,
            report,
            gates,
            approvals,
            n_approvals,
            live,
        })
    }
}

async fn newest_entries(store: &Store, subjects: Vec<Subject>) -> Result<Vec<Entry>> {
    let mut newest = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let filter = EntryFilter::about(subject, Mention::Subject).newest_first().limit(1);
        newest.extend(store.entries(filter).await?);
    }
    Ok(newest)
}

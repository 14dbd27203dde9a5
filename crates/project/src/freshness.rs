//! How fresh the data of the running project is: its tables by their contracts, its views by their ttl.

use lw_core::{Result, Span, Timestamp};
use lw_features::OnlineView;
use lw_monitoring::{AlertState, DataKind, Promise, freshness_alerts, watch_freshness};
use serde::Serialize;

use crate::features::registered;
use crate::project::Project;
use crate::workspace::Workspace;

/// A table or view with its promise and how it keeps it.
#[derive(Debug, Clone, Serialize)]
pub struct DataFreshness {
    #[serde(flatten)]
    pub promise: Promise,
    /// Of the newest event, in whole seconds; none before the first row.
    pub age: Option<Span>,
    /// `ok`, `firing` or `resolved`.
    pub alert: String,
    /// When the alert came into that state.
    pub since: Option<Timestamp>,
}

impl Workspace {
    /// Every table and view that promises to be fresh.
    pub async fn freshness(&self) -> Result<Vec<DataFreshness>> {
        let Some(running) = crate::state::running(self.store(), self.artifacts()).await? else {
            return Ok(Vec::new());
        };
        let now = self.clock().now();
        let alerts = freshness_alerts(self.store()).await?;
        let fresh = |promise: Promise| {
            let alert = alerts.iter().find(|alert| (alert.promise.kind, &alert.promise.name) == (promise.kind, &promise.name));
            let (state, since) = alert.map_or((AlertState::Ok, None), |alert| (alert.state, Some(alert.changed_at)));
            let age = promise.age(now).map(|age| Span::from_secs(age.micros() / 1_000_000));
            DataFreshness { age, alert: state.name().to_owned(), since, promise }
        };
        Ok(promises(self, &running.project).await?.into_iter().map(fresh).collect())
    }
}

/// Lets alerts fire for data that stayed away, and resolve for data that came.
pub async fn watch(workspace: &Workspace, project: &Project) -> Result<()> {
    let promises = promises(workspace, project).await?;
    watch_freshness(&workspace.own_ctx("monitor"), workspace.store(), promises).await.map(drop)
}

async fn promises(workspace: &Workspace, project: &Project) -> Result<Vec<Promise>> {
    let mut promises = Vec::new();
    let limits: Vec<_> =
        project.sources.values().filter_map(|file| Some((&file.value.name, file.value.contract.freshness?))).collect();
    if !limits.is_empty() {
        let versions = lw_data::queries::latest_versions(workspace.store()).await?;
        for (name, limit) in limits {
            let newest = versions.iter().find(|version| version.table == *name);
            let newest_event = newest.and_then(|version| version.event_watermark);
            promises.push(Promise { kind: DataKind::Table, name: name.clone(), newest_event, limit });
        }
    }
    // A view that nothing serves from may be as old as it likes.
    let serves = |view: &lw_core::Name| {
        let models = project.models.values().filter(|file| file.value.features.iter().any(|used| used.view() == view));
        models.into_iter().any(|file| workspace.serving().endpoint(file.value.model.as_str()).is_ok())
    };
    if project.views.values().any(|file| file.value.ttl.is_some() && serves(&file.value.feature_view)) {
        for view in registered(workspace, project).await? {
            let Some(limit) = view.definition.ttl.filter(|_| serves(view.name())) else { continue };
            let state = OnlineView::new(workspace.online().clone(), &view).state()?;
            let newest_event = state.and_then(|state| state.newest_event);
            promises.push(Promise { kind: DataKind::FeatureView, name: view.name().clone(), newest_event, limit });
        }
    }
    Ok(promises)
}

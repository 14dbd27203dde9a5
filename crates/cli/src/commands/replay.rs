//! `loopwright replay`: the loop over history, with a live display and a closing report.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use http_body_util::BodyExt;
use lw_core::{Clock, Error, Result, SimulatedClock, Timestamp};
use lw_project::replay::{Event, Predictor, ReplayPlan};
use lw_project::{Bundle, Project, Workspace};
use serde_json::json;
use tower::ServiceExt;

use crate::args::{Global, ReplayArgs};
use crate::connect::options;
use crate::failures::BAD_ARGUMENT;
use crate::progress::Bar;
use crate::render;

pub async fn replay(global: &Global, arguments: &ReplayArgs) -> Result<()> {
    if global.server.is_some() {
        return Err(BAD_ARGUMENT
            .error("a replay runs in a workspace of its own, not on a server")
            .hint("leave --server out and name a new --workspace"));
    }
    let project = parse(global)?;
    let plan = plan(&project, arguments)?;
    let clock = Arc::new(SimulatedClock::at(plan.from));
    let workspace = Workspace::open_with_clock(options(global), Arc::clone(&clock) as Arc<dyn Clock>).await?;
    let app = lw_server::App::local(workspace.clone())?;
    let caller = RouterCaller { token: app.local_token(), router: lw_server::router(app) };
    let bar = Bar::new(u64::try_from((plan.to - plan.from).micros()).unwrap_or(0));
    let from = plan.from;
    let show = |event: Event<'_>| match event {
        Event::Clock { now, summary } => {
            bar.set(u64::try_from((now - from).micros()).unwrap_or(0), format!("{}  {summary}", now.date_text()))
        }
        Event::Line(line) => bar.line(line),
    };
    let outcome = lw_project::replay::run(&workspace, &project, &plan, &clock, &caller, &show).await;
    bar.finish();
    let report = outcome?;
    let why = workspace.why_text(&plan.model).await?;
    write_report(&arguments.report, &report, &why)?;
    let verification = workspace.verify().await?;
    workspace.close().await;
    if global.json {
        render::json(&json!(report));
        return Ok(());
    }
    render::out(&report.markdown(&why));
    render::out(&verification);
    render::next(&format!("open {}/report.md, or `loopwright why {}`", arguments.report.display(), plan.model));
    Ok(())
}

fn parse(global: &Global) -> Result<Project> {
    let parsed = Project::parse(Bundle::read(&global.project)?);
    parsed
        .map_err(|mut errors| errors.drain(..).next().unwrap_or_else(|| Error::bug("a project failed to parse without an error")))
}

fn plan(project: &Project, arguments: &ReplayArgs) -> Result<ReplayPlan> {
    let mut plan = ReplayPlan::of(project, arguments.model.as_deref())?;
    if let Some(from) = &arguments.from {
        plan.from = Timestamp::parse(from)?;
    }
    if let Some(to) = &arguments.to {
        plan.to = Timestamp::parse(to)?;
    }
    if plan.from >= plan.to {
        return Err(BAD_ARGUMENT
            .error(format!("the replay would end at {} before it begins at {}", plan.to, plan.from))
            .hint("--from must be before --to"));
    }
    Ok(plan)
}

fn write_report(directory: &std::path::Path, report: &lw_project::replay::ReplayReport, why: &str) -> Result<()> {
    let unwritable =
        |error: std::io::Error| BAD_ARGUMENT.error(format!("cannot write the report to `{}`", directory.display())).cause(error);
    std::fs::create_dir_all(directory).map_err(unwritable)?;
    std::fs::write(directory.join("report.md"), report.markdown(why)).map_err(unwritable)?;
    std::fs::write(directory.join("report.json"), json!(report).to_string()).map_err(unwritable)?;
    std::fs::write(directory.join("quality.svg"), lw_project::replay::quality_svg(&report.months)?).map_err(unwritable)
}

/// Predictions through the real endpoint: the same router, parsing and answers as over a socket.
struct RouterCaller {
    router: Router,
    token: Option<String>,
}

#[async_trait::async_trait]
impl Predictor for RouterCaller {
    async fn predict(&self, endpoint: &str, body: Vec<u8>) -> Result<Vec<u8>> {
        let mut request = Request::post(format!("/api/v1/endpoints/{endpoint}/predict"))
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request =
            request.body(Body::from(body)).map_err(|error| Error::bug("a request of the replay is malformed").cause(error))?;
        let response = self.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        let status = response.status();
        let bytes = response
            .into_body()
            .collect()
            .await
            .map_err(|error| Error::bug("an answer of the endpoint broke off").cause(error))?
            .to_bytes();
        if status.is_success() {
            return Ok(bytes.to_vec());
        }
        Err(BAD_ARGUMENT.error(format!("the endpoint answered {status}: {}", String::from_utf8_lossy(&bytes))))
    }
}

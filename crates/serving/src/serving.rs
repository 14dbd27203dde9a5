//! All endpoints of a process, kept in step with the governed deployments.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use lw_core::{Ctx, Digest, Error, Failure, Kind, Name, Result};
use lw_engine::Engine;
use lw_features::{OnlineStore, OnlineView, find_view};
use lw_store::{Artifacts, Reader, Store, Tx};
use parking_lot::Mutex;

use crate::deployment::{self, Activation, Deployment};
use crate::endpoint::{Endpoint, Routes};
use crate::failures::INVALID_ROUTING;
use crate::features::ViewReader;
use crate::log::{Delivery, LogOptions, PredictionLog};
use crate::metrics::ServingMetrics;
use crate::runtime::RuntimeChoice;
use crate::{Bundle, Routing, Scorer, Served};

/// What serving stands on.
#[derive(Clone)]
pub struct ServingParts {
    pub store: Store,
    pub artifacts: Artifacts,
    pub engine: Engine,
    pub online: Arc<dyn OnlineStore>,
    /// The workspace's `predictions` folder; each endpoint logs into a folder of its name.
    pub predictions_dir: PathBuf,
    pub metrics: ServingMetrics,
}

/// A deployment that does not answer in this process, and why.
#[derive(Debug, Clone)]
pub struct Unloaded {
    pub endpoint: Name,
    pub generation: u64,
    /// The version that should answer, such as `churn@2`.
    pub champion: String,
    /// The generation that answers in its place, if one was loaded before.
    pub answering: Option<u64>,
    failure: Failure,
    message: String,
    hint: String,
}

impl Unloaded {
    fn new(deployment: &Deployment, answering: Option<u64>, error: &Error) -> Self {
        let otherwise = "put the file back from a backup, or roll back to the generation before";
        Self {
            endpoint: deployment.endpoint.clone(),
            generation: deployment.generation,
            champion: deployment.routing.champion.to_string(),
            answering,
            failure: error.failure(),
            message: error.to_string(),
            hint: error.hint_text().unwrap_or(otherwise).to_owned(),
        }
    }

    /// The error that requests get: unavailable, whatever kind the cause is of.
    pub fn error(&self) -> Error {
        let Self { endpoint, champion, generation, .. } = self;
        let failure = Failure { kind: Kind::Unavailable, ..self.failure };
        let message = format!("generation {generation} of endpoint `{endpoint}` ({champion}) cannot be loaded: {}", self.message);
        failure.error(message).hint(self.hint.clone())
    }
}

/// The endpoints of this process.
///
/// A change is made in three steps: the versions are loaded and warmed up; the deployment is recorded; the endpoint switches.
/// A version that cannot be loaded therefore changes nothing, and a crash between the last two steps is made good by
/// [`Serving::sync`], which a server calls at its start and from time to time.
pub struct Serving {
    parts: ServingParts,
    endpoints: ArcSwap<BTreeMap<Name, Arc<Endpoint>>>,
    /// Deployments that could not be loaded.
    unloaded: ArcSwap<BTreeMap<Name, Unloaded>>,
    /// Versions that are in use, by the digest of their bundle.
    scorers: Mutex<HashMap<Digest, Weak<Scorer>>>,
    /// One change at a time in this process; the generation decides between processes.
    changing: tokio::sync::Mutex<()>,
}

impl Serving {
    pub fn new(parts: ServingParts) -> Self {
        Self {
            parts,
            endpoints: ArcSwap::default(),
            unloaded: ArcSwap::default(),
            scorers: Mutex::default(),
            changing: tokio::sync::Mutex::new(()),
        }
    }

    /// An endpoint that answers in this process.
    pub fn endpoint(&self, name: &str) -> Result<Arc<Endpoint>> {
        let endpoints = self.endpoints.load();
        match endpoints.get(name) {
            Some(endpoint) => Ok(Arc::clone(endpoint)),
            None => {
                if let Some(unloaded) = self.unloaded.load().get(name) {
                    return Err(unloaded.error());
                }
                let shown: String = name.chars().take(80).collect();
                let error = crate::failures::UNKNOWN_ENDPOINT.error(format!("there is no endpoint `{shown}`"));
                Err(match lw_core::nearest(name, endpoints.keys().map(Name::as_str)) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error.hint("a model's first deployment creates its endpoint; `loopwright run MODEL` makes one"),
                })
            }
        }
    }

    /// Every endpoint that answers in this process, by name.
    pub fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        self.endpoints.load().values().cloned().collect()
    }

    /// The deployments that could not be loaded when the endpoints were last brought in step, by name.
    pub fn unloaded(&self) -> Vec<Unloaded> {
        self.unloaded.load().values().cloned().collect()
    }

    /// Brings the endpoints in step with the database. An endpoint whose new generation cannot be loaded keeps the old one;
    /// its error is returned beside its name.
    pub async fn sync(&self) -> Result<Vec<(Name, Error)>> {
        let _one_at_a_time = self.changing.lock().await;
        let mut failed = Vec::new();
        let mut unloaded = BTreeMap::new();
        let deployments = deployment::all_current(&self.parts.store).await?;
        for endpoint in self.endpoints() {
            if !deployments.iter().any(|deployment| deployment.endpoint == *endpoint.name()) {
                self.withdraw(&endpoint).await;
            }
        }
        for deployment in deployments {
            let name = deployment.endpoint.clone();
            if self.generation(&name) >= deployment.generation {
                continue;
            }
            let switched = match self.load(&deployment.routing).await {
                Ok(scorers) => self.switch(deployment.clone(), &scorers).await,
                Err(error) => Err(error),
            };
            if let Err(error) = switched {
                let answering = Some(self.generation(&name)).filter(|generation| *generation > 0);
                let found = Unloaded::new(&deployment, answering, &error);
                self.tell(&found);
                unloaded.insert(name.clone(), found);
                failed.push((name, error));
            }
        }
        self.unloaded.store(Arc::new(unloaded));
        Ok(failed)
    }

    /// Logs what cannot be loaded, once for as long as it stays so.
    fn tell(&self, found: &Unloaded) {
        let Unloaded { endpoint, message, .. } = found;
        let known = self.unloaded.load().get(endpoint).map(|known| (known.generation, known.failure));
        if known == Some((found.generation, found.failure)) {
            return;
        }
        match found.answering {
            Some(older) => tracing::error!(%endpoint, "Endpoint `{endpoint}` keeps its generation {older}: {message}"),
            None => tracing::error!(%endpoint, "Endpoint `{endpoint}` does not answer: {message}"),
        }
    }

    /// Puts versions behind an endpoint: loads and warms them up, records `deployment.activate`, switches.
    ///
    /// # Errors
    /// `stale-generation` if somebody else changed the endpoint; whatever keeps a version from being loaded.
    pub async fn activate(&self, ctx: &Ctx, activation: Activation) -> Result<Deployment> {
        self.activate_if(ctx, activation, |_, _| Ok(())).await
    }

    /// [`Serving::activate`] under a condition, such as an approval, that is looked at in the same transaction.
    pub async fn activate_if<F>(&self, ctx: &Ctx, activation: Activation, may: F) -> Result<Deployment>
    where
        F: FnOnce(&mut Tx<'_>, &Routing) -> Result<()> + Send + 'static,
    {
        let _one_at_a_time = self.changing.lock().await;
        activation.routing.check()?;
        let scorers = self.load(&activation.routing).await?;
        // Found out before the record: the versions must be able to share one request.
        Routes::new(preview(&activation, ctx), &scorers, &ServingMetrics::default())?;
        let record = move |tx: &mut Tx<'_>| {
            may(tx, &activation.routing)?;
            deployment::activate(tx, activation)
        };
        let deployment = self.parts.store.write(ctx, record).await?;
        self.switch(deployment.clone(), &scorers).await?;
        Ok(deployment)
    }

    /// Puts back what stood behind the endpoint before: loads it, records `deployment.rollback`, switches. `expected_generation` is
    /// the one that the caller saw; None stands for the one that stands now.
    pub async fn roll_back(
        &self,
        ctx: &Ctx,
        endpoint: &Name,
        expected_generation: Option<u64>,
        reason: String,
    ) -> Result<Deployment> {
        self.roll_back_with(ctx, endpoint, expected_generation, reason, |_, _| Ok(())).await
    }

    /// [`Serving::roll_back`] together with what the caller adds to its transaction: both happen, or neither.
    pub async fn roll_back_with<F>(
        &self,
        ctx: &Ctx,
        endpoint: &Name,
        expected_generation: Option<u64>,
        reason: String,
        also: F,
    ) -> Result<Deployment>
    where
        F: FnOnce(&mut Tx<'_>, &Deployment) -> Result<()> + Send + 'static,
    {
        let _one_at_a_time = self.changing.lock().await;
        let expected = match expected_generation {
            Some(generation) => generation,
            None => deployment::current(&self.parts.store, endpoint).await?.generation,
        };
        let name = endpoint.clone();
        let find = move |reader: &mut Reader<'_>| {
            deployment::next_generation(reader, &name, expected)?;
            deployment::previous(reader, &name, expected)
        };
        let before = self.parts.store.read(find).await?;
        let scorers = self.load(&before.routing).await?;
        let name = endpoint.clone();
        let record = move |tx: &mut Tx<'_>| {
            let deployment = deployment::roll_back(tx, &name, expected, reason)?;
            also(tx, &deployment)?;
            Ok(deployment)
        };
        let deployment = self.parts.store.write(ctx, record).await?;
        self.switch(deployment.clone(), &scorers).await?;
        Ok(deployment)
    }

    /// Takes an endpoint out of service: records `deployment.retire` together with what the caller adds to its transaction, and stops
    /// answering. Answers that were given reach their table.
    pub async fn retire_with<F>(
        &self,
        ctx: &Ctx,
        endpoint: &Name,
        expected_generation: u64,
        reason: String,
        also: F,
    ) -> Result<Deployment>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<()> + Send + 'static,
    {
        let _one_at_a_time = self.changing.lock().await;
        let name = endpoint.clone();
        let record = move |tx: &mut Tx<'_>| {
            let standing = deployment::retire(tx, &name, expected_generation, &reason)?;
            also(tx)?;
            Ok(standing)
        };
        let standing = self.parts.store.write(ctx, record).await?;
        self.forget_unloaded(endpoint);
        let answering = self.endpoints.load().get(endpoint).cloned();
        if let Some(answering) = answering {
            self.withdraw(&answering).await;
        }
        Ok(standing)
    }

    /// Stops answering for an endpoint. What it has answered is delivered; if that cannot be done now, it stays in its buffer until
    /// the endpoint is opened again.
    async fn withdraw(&self, endpoint: &Arc<Endpoint>) {
        let name = endpoint.name();
        self.endpoints.rcu(|endpoints| {
            let mut endpoints = BTreeMap::clone(endpoints);
            endpoints.remove(name);
            endpoints
        });
        let delivered = match endpoint.flush().await {
            Ok(()) => endpoint.log().deliver(&self.parts.engine).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = delivered {
            tracing::error!(endpoint = %name, ?error, "Answers of the retired endpoint `{name}` stay in their buffer: {error}");
        }
    }

    /// Waits until every answer given so far is on disk.
    pub async fn flush(&self) -> Result<()> {
        for endpoint in self.endpoints() {
            endpoint.flush().await?;
        }
        Ok(())
    }

    /// Moves everything logged so far into the prediction tables, and returns what was moved for each endpoint.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn deliver(&self) -> Result<Vec<(Name, Delivery)>> {
        let mut deliveries = Vec::new();
        for endpoint in self.endpoints() {
            endpoint.flush().await?;
            let delivery = endpoint.log().deliver(&self.parts.engine).await?;
            deliveries.push((endpoint.name().clone(), delivery));
        }
        Ok(deliveries)
    }

    /// Delivers and brings the endpoints in step every `interval`, until the future is dropped.
    pub async fn keep(&self, interval: Duration) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.sync().await {
                tracing::error!(?error, "The deployments cannot be read: {error}");
            }
            if let Err(error) = self.deliver().await {
                tracing::error!(?error, "Predictions cannot be delivered yet: {error}");
            }
        }
    }

    pub fn metrics(&self) -> &ServingMetrics {
        &self.parts.metrics
    }

    fn generation(&self, name: &Name) -> u64 {
        self.endpoints.load().get(name).map_or(0, |endpoint| endpoint.routes().deployment().generation)
    }

    fn forget_unloaded(&self, name: &Name) {
        if self.unloaded.load().contains_key(name) {
            self.unloaded.rcu(|unloaded| {
                let mut unloaded = BTreeMap::clone(unloaded);
                unloaded.remove(name);
                unloaded
            });
        }
    }

    async fn load(&self, routing: &Routing) -> Result<Vec<Arc<Scorer>>> {
        let mut scorers = Vec::new();
        for (_, served) in routing.parts() {
            scorers.push(self.scorer(served).await?);
        }
        Ok(scorers)
    }

    async fn scorer(&self, served: &Served) -> Result<Arc<Scorer>> {
        if let Some(scorer) = self.scorers.lock().get(&served.bundle).and_then(Weak::upgrade) {
            return Ok(scorer);
        }
        let scorer = Arc::new(load_scorer(&self.parts, served).await?);
        let mut scorers = self.scorers.lock();
        scorers.retain(|_, scorer| scorer.strong_count() > 0);
        scorers.insert(served.bundle, Arc::downgrade(&scorer));
        Ok(scorer)
    }

    async fn switch(&self, deployment: Deployment, scorers: &[Arc<Scorer>]) -> Result<()> {
        let name = deployment.endpoint.clone();
        let standing = self.endpoints.load().get(&name).cloned();
        self.forget_unloaded(&name);
        let routes = Routes::new(deployment, scorers, &self.parts.metrics)?;
        if let Some(endpoint) = standing {
            endpoint.switch(routes);
            return Ok(());
        }
        let options = LogOptions::in_dir(self.parts.predictions_dir.join(name.as_str()));
        let log = PredictionLog::open(options, name.clone(), &self.parts.engine, self.parts.metrics.log(&name)).await?;
        let endpoint = Arc::new(Endpoint::new(name.clone(), routes, Arc::new(log), &self.parts.metrics));
        self.endpoints.rcu(|endpoints| {
            let mut endpoints = BTreeMap::clone(endpoints);
            endpoints.insert(name.clone(), Arc::clone(&endpoint));
            endpoints
        });
        Ok(())
    }
}

/// Loads a version from its artifacts. Their bytes are checked against the digests that the deployment names.
pub async fn load_scorer(parts: &ServingParts, served: &Served) -> Result<Scorer> {
    let bundle = Bundle::from_json(&parts.artifacts.get(&served.bundle).await?)?;
    if bundle.model != served.model || bundle.version != served.version {
        return Err(INVALID_ROUTING
            .error(format!("the bundle of {served} belongs to {}@{}", bundle.model, bundle.version))
            .hint("deploy the version with the digest that the registry shows for it"));
    }
    let mut views = Vec::with_capacity(bundle.features.len());
    for lookup in &bundle.features {
        let registered = find_view(&parts.store, &lookup.view, Some(lookup.version)).await?;
        let entity: Vec<String> = registered.entity.iter().map(|field| field.name.clone()).collect();
        let view = OnlineView::new(Arc::clone(&parts.online), &registered);
        views.push(ViewReader::new(lookup, view, &entity, &bundle.request)?);
    }
    let model = parts.artifacts.get(&bundle.artifact).await?;
    let load = move || Scorer::load(bundle, &model, views, RuntimeChoice::Fitting);
    tokio::task::spawn_blocking(load).await.map_err(|error| Error::bug("loading a model panicked").cause(error))?
}

fn preview(activation: &Activation, ctx: &Ctx) -> Deployment {
    Deployment {
        endpoint: activation.endpoint.clone(),
        generation: activation.expected_generation + 1,
        routing: activation.routing.clone(),
        reason: activation.reason.clone(),
        restores: None,
        activated_at: ctx.now(),
        activated_by: ctx.actor.to_string(),
    }
}

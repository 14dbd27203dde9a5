//! What Prometheus sees of the endpoints.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lw_core::Name;
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabel {
    endpoint: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VersionLabel {
    endpoint: String,
    model: String,
    version: u64,
    role: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabel {
    endpoint: String,
    code: &'static str,
}

/// The metrics of all endpoints of a process.
#[derive(Clone, Default)]
pub struct ServingMetrics {
    requests: Family<EndpointLabel, Counter>,
    errors: Family<ErrorLabel, Counter>,
    latency: Family<EndpointLabel, LatencyHistogram>,
    predictions: Family<VersionLabel, Counter>,
    logged: Family<EndpointLabel, Counter>,
    delivered: Family<EndpointLabel, Counter>,
    dropped: Family<EndpointLabel, Counter>,
    refused: Family<EndpointLabel, Counter>,
    unshadowed: Family<EndpointLabel, Counter>,
}

/// The metrics of one endpoint, looked up once.
#[derive(Clone)]
pub struct EndpointMetrics {
    endpoint: String,
    pub requests: Counter,
    pub latency: LatencyHistogram,
    /// Requests that no shadow scored because the shadows could not keep up.
    pub unshadowed: Counter,
    errors: Family<ErrorLabel, Counter>,
}

/// The counters of one prediction log.
#[derive(Debug, Clone, Default)]
pub struct LogMetrics {
    /// Rows on disk.
    pub logged: Counter,
    /// Rows in the table.
    pub delivered: Counter,
    /// Rows that could not be written when the log was closed.
    pub dropped: Counter,
    /// Rows whose request was refused because the queue was full.
    pub refused: Counter,
}

impl ServingMetrics {
    /// Makes the metrics visible in a registry.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Prediction requests";
        registry.register("loopwright_predict_requests", help, self.requests.clone());
        registry.register("loopwright_predict_errors", "Prediction requests that failed, by error code", self.errors.clone());
        registry.register("loopwright_predict_seconds", "Time from parsed request to answer", self.latency.clone());
        registry.register("loopwright_predictions", "Rows scored, by version and role", self.predictions.clone());
        registry.register("loopwright_predictions_logged", "Predictions that are durable", self.logged.clone());
        registry.register("loopwright_predictions_delivered", "Predictions moved into the table", self.delivered.clone());
        registry.register("loopwright_predictions_dropped", "Predictions that were lost", self.dropped.clone());
        registry.register(
            "loopwright_requests_unshadowed",
            "Requests that the shadows could not keep up with",
            self.unshadowed.clone(),
        );
        registry.register("loopwright_predictions_refused", "Predictions refused: the log was full", self.refused.clone());
    }

    pub fn endpoint(&self, endpoint: &Name) -> EndpointMetrics {
        let label = EndpointLabel { endpoint: endpoint.to_string() };
        EndpointMetrics {
            requests: self.requests.get_or_create_owned(&label),
            latency: self.latency.get_or_create_owned(&label),
            unshadowed: self.unshadowed.get_or_create_owned(&label),
            errors: self.errors.clone(),
            endpoint: label.endpoint,
        }
    }

    pub fn log(&self, endpoint: &Name) -> LogMetrics {
        let label = EndpointLabel { endpoint: endpoint.to_string() };
        LogMetrics {
            logged: self.logged.get_or_create_owned(&label),
            delivered: self.delivered.get_or_create_owned(&label),
            dropped: self.dropped.get_or_create_owned(&label),
            refused: self.refused.get_or_create_owned(&label),
        }
    }

    /// Rows that a version has scored in a role.
    pub fn predictions(&self, endpoint: &Name, served: &crate::Served, role: crate::Role) -> Counter {
        self.predictions.get_or_create_owned(&VersionLabel {
            endpoint: endpoint.to_string(),
            model: served.model.to_string(),
            version: served.version,
            role: role.name(),
        })
    }
}

impl EndpointMetrics {
    pub fn failed(&self, code: &'static str) {
        self.errors.get_or_create(&ErrorLabel { endpoint: self.endpoint.clone(), code }).inc();
    }
}

/// Upper bounds in microseconds: from far below one look-up to a request that timed out.
const BOUNDS_US: [u64; 14] =
    [50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 102_400, 1_000_000, 10_000_000];

/// A histogram of times without a lock, so that requests do not wait for each other.
#[derive(Debug, Clone, Default)]
pub struct LatencyHistogram(Arc<Buckets>);

#[derive(Debug, Default)]
struct Buckets {
    counts: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl LatencyHistogram {
    pub fn observe(&self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let index = BOUNDS_US.partition_point(|bound| *bound < us);
        if let Some(count) = self.0.counts.get(index) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.0.sum_us.fetch_add(us, Ordering::Relaxed);
    }
}

impl TypedMetric for LatencyHistogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for LatencyHistogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = BOUNDS_US.iter().map(|bound| *bound as f64 / 1e6).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(self.0.counts.iter().map(|count| count.load(Ordering::Relaxed))).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = self.0.sum_us.load(Ordering::Relaxed) as f64 / 1e6;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_is_what_prometheus_reads() {
        let metrics = ServingMetrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let endpoint = metrics.endpoint(&Name::parse("late_arrival").unwrap());
        endpoint.requests.inc();
        endpoint.latency.observe(Duration::from_micros(100));
        endpoint.latency.observe(Duration::from_micros(101));
        endpoint.latency.observe(Duration::from_secs(60));
        endpoint.failed("invalid-predict-request");
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "loopwright_predict_requests_total{endpoint=\"late_arrival\"} 1",
            "loopwright_predict_errors_total{endpoint=\"late_arrival\",code=\"invalid-predict-request\"} 1",
            "loopwright_predict_seconds_bucket{le=\"0.0001\",endpoint=\"late_arrival\"} 1",
            "loopwright_predict_seconds_bucket{le=\"0.0002\",endpoint=\"late_arrival\"} 2",
            "loopwright_predict_seconds_bucket{le=\"+Inf\",endpoint=\"late_arrival\"} 3",
            "loopwright_predict_seconds_count{endpoint=\"late_arrival\"} 3",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}

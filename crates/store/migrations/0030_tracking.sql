-- tracking
-- governed: experiment, run
-- Experiments and runs are governed. What a run logs is high-volume and plain; the entry that finishes a run seals it by digest.

CREATE TABLE experiment (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    lifecycle TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE experiment_tag (
    experiment BIGINT NOT NULL,
    tag_key TEXT NOT NULL,
    tag_value TEXT NOT NULL,
    PRIMARY KEY (experiment, tag_key)
);

CREATE TABLE run (
    id TEXT PRIMARY KEY,
    experiment BIGINT NOT NULL,
    name TEXT NOT NULL,
    started_by TEXT NOT NULL,
    status TEXT NOT NULL,
    lifecycle TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    deleted_at BIGINT,
    circumstances TEXT NOT NULL,
    seal TEXT
);
CREATE INDEX run_by_experiment ON run (experiment, lifecycle, started_at);

CREATE TABLE run_param (
    run TEXT NOT NULL,
    param_key TEXT NOT NULL,
    param_value TEXT NOT NULL,
    PRIMARY KEY (run, param_key)
);

-- Every point once. A NaN is stored as the value 0 with is_nan = 1, because SQLite has no NaN.
CREATE TABLE run_metric (
    run TEXT NOT NULL,
    metric_key TEXT NOT NULL,
    logged_at BIGINT NOT NULL,
    step BIGINT NOT NULL,
    metric_value DOUBLE PRECISION NOT NULL,
    is_nan BIGINT NOT NULL,
    PRIMARY KEY (run, metric_key, logged_at, step, metric_value, is_nan)
);

-- The point of each metric with the greatest (step, time, value).
CREATE TABLE run_latest_metric (
    run TEXT NOT NULL,
    metric_key TEXT NOT NULL,
    logged_at BIGINT NOT NULL,
    step BIGINT NOT NULL,
    metric_value DOUBLE PRECISION NOT NULL,
    is_nan BIGINT NOT NULL,
    PRIMARY KEY (run, metric_key)
);
CREATE INDEX run_latest_metric_by_key ON run_latest_metric (metric_key, metric_value);

CREATE TABLE run_tag (
    run TEXT NOT NULL,
    tag_key TEXT NOT NULL,
    tag_value TEXT NOT NULL,
    PRIMARY KEY (run, tag_key)
);

CREATE TABLE run_dataset (
    run TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    context TEXT NOT NULL,
    source_type TEXT NOT NULL,
    source TEXT NOT NULL,
    dataset_schema TEXT,
    profile TEXT,
    PRIMARY KEY (run, name, digest, context)
);

CREATE TABLE run_artifact (
    run TEXT NOT NULL,
    path TEXT NOT NULL,
    digest TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    logged_at BIGINT NOT NULL,
    PRIMARY KEY (run, path)
);

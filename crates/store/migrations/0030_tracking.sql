-- tracking
-- governed: experiment, run, logged_model
-- Experiments, runs and logged models are governed. What they log is high-volume and plain; the entry that finishes a run seals it by
-- digest. Tables of points, parameters and tags are clustered by their key and name their run by its number, which is short: a point
-- takes 30 bytes, and all that a run logged lies together.

CREATE TABLE experiment (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    artifact_location TEXT NOT NULL,
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
    number BIGINT NOT NULL UNIQUE,
    experiment BIGINT NOT NULL,
    name TEXT NOT NULL,
    started_by TEXT NOT NULL,
    user_id TEXT NOT NULL,
    status TEXT NOT NULL,
    lifecycle TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    deleted_at BIGINT,
    artifact_uri TEXT NOT NULL,
    circumstances TEXT NOT NULL,
    seal TEXT
);
-- Holds all that most searches ask of a run, so that they read the rows of their answer alone.
CREATE INDEX run_by_experiment ON run (experiment, lifecycle, started_at, id, number);

CREATE TABLE run_param (
    run BIGINT NOT NULL,
    param_key TEXT NOT NULL,
    param_value TEXT NOT NULL,
    PRIMARY KEY (run, param_key)
) /* sqlite: WITHOUT ROWID */;

-- The point of each metric with the greatest (step, time, value).
CREATE TABLE run_latest_metric (
    run BIGINT NOT NULL,
    metric_key TEXT NOT NULL,
    logged_at BIGINT NOT NULL,
    step BIGINT NOT NULL,
    metric_value DOUBLE PRECISION NOT NULL,
    is_nan BIGINT NOT NULL,
    PRIMARY KEY (run, metric_key)
) /* sqlite: WITHOUT ROWID */;

-- All points but the latest, each once: a point stands in one of the two tables. A NaN is stored as the value 0 with is_nan = 1,
-- because SQLite has no NaN.
CREATE TABLE run_metric (
    run BIGINT NOT NULL,
    metric_key TEXT NOT NULL,
    logged_at BIGINT NOT NULL,
    step BIGINT NOT NULL,
    metric_value DOUBLE PRECISION NOT NULL,
    is_nan BIGINT NOT NULL,
    PRIMARY KEY (run, metric_key, logged_at, step, metric_value, is_nan)
) /* sqlite: WITHOUT ROWID */;

CREATE TABLE run_tag (
    run BIGINT NOT NULL,
    tag_key TEXT NOT NULL,
    tag_value TEXT NOT NULL,
    PRIMARY KEY (run, tag_key)
) /* sqlite: WITHOUT ROWID */;

-- `context` is the value of the tag `mlflow.data.context`, which searches ask for; `tags` holds all tags as a JSON object.
CREATE TABLE run_dataset (
    run TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    context TEXT,
    tags TEXT NOT NULL,
    source_type TEXT NOT NULL,
    source TEXT NOT NULL,
    dataset_schema TEXT,
    profile TEXT,
    PRIMARY KEY (run, name, digest)
);

CREATE TABLE run_model_input (
    run TEXT NOT NULL,
    model TEXT NOT NULL,
    PRIMARY KEY (run, model)
);

CREATE TABLE run_model_output (
    run TEXT NOT NULL,
    model TEXT NOT NULL,
    step BIGINT NOT NULL,
    PRIMARY KEY (run, model, step)
);

CREATE TABLE logged_model (
    id TEXT PRIMARY KEY,
    experiment BIGINT NOT NULL,
    name TEXT NOT NULL,
    model_type TEXT NOT NULL,
    source_run TEXT NOT NULL,
    status TEXT NOT NULL,
    lifecycle TEXT NOT NULL,
    artifact_uri TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX logged_model_by_experiment ON logged_model (experiment, created_at);
CREATE INDEX logged_model_by_run ON logged_model (source_run);

CREATE TABLE logged_model_param (
    model TEXT NOT NULL,
    param_key TEXT NOT NULL,
    param_value TEXT NOT NULL,
    PRIMARY KEY (model, param_key)
) /* sqlite: WITHOUT ROWID */;

CREATE TABLE logged_model_tag (
    model TEXT NOT NULL,
    tag_key TEXT NOT NULL,
    tag_value TEXT NOT NULL,
    PRIMARY KEY (model, tag_key)
) /* sqlite: WITHOUT ROWID */;

-- What runs measured of a model, perhaps on a dataset.
CREATE TABLE logged_model_metric (
    model TEXT NOT NULL,
    metric_key TEXT NOT NULL,
    logged_at BIGINT NOT NULL,
    step BIGINT NOT NULL,
    run TEXT NOT NULL,
    metric_value DOUBLE PRECISION NOT NULL,
    is_nan BIGINT NOT NULL,
    dataset_name TEXT,
    dataset_digest TEXT,
    PRIMARY KEY (model, metric_key, logged_at, step, run)
) /* sqlite: WITHOUT ROWID */;

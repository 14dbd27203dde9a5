-- pipelines
-- governed: pipeline_version, pipeline, pipeline_run
-- Definitions, and what was run for whom with which end, are governed. How far the steps are is the engine's own state.

-- Every definition ever deployed or run, by the digest of its content.
CREATE TABLE pipeline_version (
    digest TEXT PRIMARY KEY,
    pipeline TEXT NOT NULL,
    definition TEXT NOT NULL
);
CREATE INDEX pipeline_version_by_pipeline ON pipeline_version (pipeline);

-- Which definition a pipeline's name stands for now. Deploying moves the pointer, and so does rolling back.
CREATE TABLE pipeline (
    pipeline TEXT PRIMARY KEY,
    digest TEXT NOT NULL
);

-- state: running, cancelling, succeeded, failed, cancelled
CREATE TABLE pipeline_run (
    run TEXT PRIMARY KEY,
    pipeline TEXT NOT NULL,
    digest TEXT NOT NULL,
    cause TEXT NOT NULL,
    dedupe_key TEXT,
    params TEXT NOT NULL,
    started_by TEXT NOT NULL,
    state TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT
);
CREATE INDEX pipeline_run_by_pipeline ON pipeline_run (pipeline, started_at);
CREATE INDEX pipeline_run_by_start ON pipeline_run (started_at);
CREATE INDEX pipeline_run_open ON pipeline_run (pipeline) WHERE finished_at IS NULL;

-- One row a run that is taken first by everything that changes the run's steps, so that PostgreSQL does it one after the other.
CREATE TABLE pipeline_progress (
    run TEXT PRIMARY KEY,
    n_open BIGINT NOT NULL,
    n_failed BIGINT NOT NULL,
    n_lines BIGINT NOT NULL,
    is_cancelling BIGINT NOT NULL
);

-- state: blocked, ready, running, waiting, succeeded, failed, skipped, cancelled
-- available_at is set while the step can be claimed (from then on), lease_until while it runs; both find their steps by index.
CREATE TABLE pipeline_step (
    run TEXT NOT NULL,
    step TEXT NOT NULL,
    position BIGINT NOT NULL,
    state TEXT NOT NULL,
    n_needs BIGINT NOT NULL,
    n_failures BIGINT NOT NULL,
    n_losses BIGINT NOT NULL,
    n_signals BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    available_at BIGINT,
    worker TEXT,
    incarnation TEXT,
    lease_until BIGINT,
    signal TEXT,
    reason TEXT,
    manifest TEXT,
    manifest_digest TEXT,
    cached_from TEXT,
    error_code TEXT,
    error TEXT,
    started_at BIGINT,
    finished_at BIGINT,
    PRIMARY KEY (run, step)
);
CREATE INDEX pipeline_step_claimable ON pipeline_step (available_at, position);
CREATE INDEX pipeline_step_leased ON pipeline_step (lease_until);

-- Manifests of finished steps by the digest of all that they depend on.
CREATE TABLE pipeline_cache (
    cache_key TEXT PRIMARY KEY,
    run TEXT NOT NULL,
    step TEXT NOT NULL,
    manifest TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- What steps print. The cursor counts from 1 without gaps within a run.
CREATE TABLE pipeline_log (
    run TEXT NOT NULL,
    cursor_at BIGINT NOT NULL,
    step TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    at BIGINT NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (run, cursor_at)
);

-- When a deployed pipeline's schedule fires next. Follows the definition; advanced in the transaction that starts the run.
CREATE TABLE pipeline_schedule (
    pipeline TEXT PRIMARY KEY,
    next_fire BIGINT NOT NULL
);
CREATE INDEX pipeline_schedule_by_fire ON pipeline_schedule (next_fire);

-- Each cause starts one run for a key, however often it asks.
CREATE TABLE pipeline_fire (
    cause TEXT NOT NULL,
    dedupe_key TEXT NOT NULL,
    run TEXT NOT NULL,
    PRIMARY KEY (cause, dedupe_key)
);

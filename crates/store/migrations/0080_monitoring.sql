-- monitoring
-- governed: monitor_alert, freshness_alert, retrain_trigger

-- What monitors saw, one row a window and item. Many; refreshed while labels arrive. Verdict: healthy, breach, undecided.
CREATE TABLE monitor_observation (
    model TEXT NOT NULL,
    version BIGINT NOT NULL,
    monitor TEXT NOT NULL,
    window_end BIGINT NOT NULL,
    item TEXT NOT NULL,
    window_start BIGINT NOT NULL,
    statistic TEXT NOT NULL,
    value DOUBLE PRECISION,
    limit_value DOUBLE PRECISION,
    p_value DOUBLE PRECISION,
    n_rows BIGINT NOT NULL,
    n_labels BIGINT NOT NULL,
    verdict TEXT NOT NULL,
    observed_at BIGINT NOT NULL,
    PRIMARY KEY (model, version, monitor, window_end, item)
);
CREATE INDEX monitor_observation_by_time ON monitor_observation (model, window_end, monitor);

-- Where the alert of each monitor stands. State: the JSON of an AlertState.
CREATE TABLE monitor_alert (
    model TEXT NOT NULL,
    monitor TEXT NOT NULL,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    window_end BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    reasons TEXT NOT NULL,
    PRIMARY KEY (model, monitor)
);

-- Where the freshness of tables and feature views stands, once it was broken. Kind: table, feature_view.
CREATE TABLE freshness_alert (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    newest_event BIGINT,
    limit_us BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (kind, name)
);

-- Retrainings that alerts asked for, one a model, monitor and window.
CREATE TABLE retrain_trigger (
    model TEXT NOT NULL,
    monitor TEXT NOT NULL,
    window_end BIGINT NOT NULL,
    window_start BIGINT NOT NULL,
    version BIGINT NOT NULL,
    requested_at BIGINT NOT NULL,
    reasons TEXT NOT NULL,
    PRIMARY KEY (model, monitor, window_end)
);
CREATE INDEX retrain_trigger_by_time ON retrain_trigger (model, requested_at);

-- traces
-- governed: evaluation_dataset, scorer, label_schema
-- What is known of a trace as a whole. Its spans lie in a Delta table, which refers to the incarnation: a trace that is deleted and
-- sent again is another one. Only evaluation datasets, scorers and label schemas are governed: traces are high-volume.

CREATE TABLE trace (
    id TEXT PRIMARY KEY,
    incarnation TEXT NOT NULL,
    experiment BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    duration BIGINT,
    state TEXT NOT NULL,
    client_request_id TEXT,
    -- The conversation that the trace is part of; NULL where it is longer than 250 bytes.
    session TEXT,
    request_preview TEXT,
    response_preview TEXT,
    -- Whether the client has told the whole trace's facts, which spans then no longer change.
    is_final BIGINT NOT NULL,
    -- Nanoseconds at which the first and the last known span began; NULL without spans.
    first_span_ns BIGINT,
    last_span_ns BIGINT
);
CREATE INDEX trace_by_experiment ON trace (experiment, started_at, id);
CREATE INDEX trace_by_session ON trace (session);

CREATE TABLE trace_tag (
    trace TEXT NOT NULL,
    tag_key TEXT NOT NULL,
    tag_value TEXT NOT NULL,
    PRIMARY KEY (trace, tag_key)
);

CREATE TABLE trace_metadata (
    trace TEXT NOT NULL,
    metadata_key TEXT NOT NULL,
    metadata_value TEXT NOT NULL,
    PRIMARY KEY (trace, metadata_key)
);

CREATE TABLE trace_assessment (
    id TEXT PRIMARY KEY,
    trace TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    -- JSON; of an issue its name.
    assessed TEXT NOT NULL,
    -- The value as a number, or NULL if it is none.
    assessed_number DOUBLE PRECISION,
    error TEXT,
    source_type TEXT NOT NULL,
    source_id TEXT,
    run TEXT,
    span TEXT,
    rationale TEXT,
    metadata TEXT,
    overrides TEXT,
    is_valid BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    -- Counts up within a trace, for the order of assessments of one moment.
    place BIGINT NOT NULL
);
CREATE INDEX trace_assessment_by_trace ON trace_assessment (trace, place);
CREATE INDEX trace_assessment_by_name ON trace_assessment (kind, name);

-- Which runs and prompt versions a trace belongs to.
CREATE TABLE trace_link (
    target_kind TEXT NOT NULL,
    target TEXT NOT NULL,
    trace TEXT NOT NULL,
    PRIMARY KEY (target_kind, target, trace)
);
CREATE INDEX trace_link_by_trace ON trace_link (trace);

-- Deleted traces whose spans are still in the table.
CREATE TABLE trace_removal (
    incarnation TEXT PRIMARY KEY
);

CREATE TABLE evaluation_dataset (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    dataset_schema TEXT,
    n_records BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    created_by TEXT,
    updated_by TEXT
);

CREATE TABLE evaluation_dataset_tag (
    dataset TEXT NOT NULL,
    tag_key TEXT NOT NULL,
    tag_value TEXT NOT NULL,
    PRIMARY KEY (dataset, tag_key)
);

CREATE TABLE evaluation_dataset_experiment (
    dataset TEXT NOT NULL,
    experiment TEXT NOT NULL,
    PRIMARY KEY (dataset, experiment)
);
CREATE INDEX evaluation_dataset_by_experiment ON evaluation_dataset_experiment (experiment);

-- A record is known by the digest of its inputs: the same inputs again change the record that is there.
CREATE TABLE evaluation_dataset_record (
    id TEXT PRIMARY KEY,
    dataset TEXT NOT NULL,
    input_digest TEXT NOT NULL,
    inputs TEXT NOT NULL,
    outputs TEXT,
    expectations TEXT,
    tags TEXT,
    source TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    created_by TEXT,
    updated_by TEXT,
    UNIQUE (dataset, input_digest)
);
CREATE INDEX evaluation_dataset_record_in_order ON evaluation_dataset_record (dataset, created_at, id);

CREATE TABLE scorer (
    experiment BIGINT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    id TEXT NOT NULL,
    definition TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (experiment, name, version)
);

-- How often a scorer looks at new traces.
CREATE TABLE scorer_sampling (
    scorer TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    experiment BIGINT NOT NULL,
    sample_rate DOUBLE PRECISION NOT NULL,
    filter TEXT
);

-- The questions that people answer about traces.
CREATE TABLE label_schema (
    id TEXT PRIMARY KEY,
    experiment BIGINT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    instruction TEXT,
    takes_comment BIGINT NOT NULL,
    -- JSON.
    input TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    is_default BIGINT NOT NULL,
    UNIQUE (experiment, name)
);

-- data
-- Sources, the files that were read and the versions of tables that were made from them.
-- governed: source_version, table_version, source_file

-- A definition of a source; the version counts its changes from 1.
CREATE TABLE source_version (
    source TEXT NOT NULL,
    version BIGINT NOT NULL,
    digest TEXT NOT NULL,
    definition TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (source, version)
);

-- A version of a table, as Delta Lake counts it. The sequence counts a source's batches from 1; watermarks are the newest event and
-- known time of all rows up to here.
CREATE TABLE table_version (
    table_name TEXT NOT NULL,
    version BIGINT NOT NULL,
    source TEXT NOT NULL,
    source_version BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    digest TEXT NOT NULL,
    n_read BIGINT NOT NULL,
    n_rows BIGINT NOT NULL,
    n_quarantined BIGINT NOT NULL,
    files TEXT NOT NULL,
    rules TEXT NOT NULL,
    profile TEXT NOT NULL,
    contract TEXT NOT NULL,
    event_watermark BIGINT,
    known_watermark BIGINT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (table_name, version)
);
CREATE UNIQUE INDEX table_version_by_sequence ON table_version (source, sequence);

-- A file that a version was made from. A path whose content changes has a row for each content.
CREATE TABLE source_file (
    source TEXT NOT NULL,
    path TEXT NOT NULL,
    digest TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    n_rows BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    table_version BIGINT NOT NULL,
    PRIMARY KEY (source, path, sequence)
);

-- A batch that is about to be written: what a crash between the table and its record leaves to be finished.
CREATE TABLE ingest_intent (
    source TEXT PRIMARY KEY,
    ingest_id TEXT NOT NULL,
    plan TEXT NOT NULL
);

-- artifacts
-- Which paths of which owners point to which content. High-volume and plain; a run's seal covers its own.

-- The owner is the id of a run, a logged model or a trace; what belongs to nobody has an empty one. A folder's path is empty at the
-- top. Both tables are read by whole keys alone, so that no order of texts, which databases take from their locale, matters.
CREATE TABLE artifact (
    owner TEXT NOT NULL,
    folder TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    logged_at BIGINT NOT NULL,
    PRIMARY KEY (owner, folder, name)
) /* sqlite: WITHOUT ROWID */;

-- The folders in each folder, as long as there is something in them.
CREATE TABLE artifact_folder (
    owner TEXT NOT NULL,
    folder TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (owner, folder, name)
) /* sqlite: WITHOUT ROWID */;

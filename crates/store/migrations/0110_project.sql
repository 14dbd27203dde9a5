-- governed: project_version

-- Every applied version of the project's definitions; the newest is the one that runs.
CREATE TABLE project_version (
    version BIGINT PRIMARY KEY,
    project TEXT NOT NULL,
    digest TEXT NOT NULL,
    bundle TEXT NOT NULL,
    root TEXT NOT NULL,
    commit_id TEXT,
    applied_at BIGINT NOT NULL,
    applied_by TEXT NOT NULL
);

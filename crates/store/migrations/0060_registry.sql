-- registry
-- governed: model, model_tag, model_version, model_version_state, model_version_tag
-- governed: model_report, gate_decision, approval, model_alias, model_protection, webhook

CREATE TABLE model (
    name TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    owner TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE model_tag (
    model TEXT NOT NULL,
    tag_key TEXT NOT NULL,
    tag_value TEXT NOT NULL,
    PRIMARY KEY (model, tag_key)
);
CREATE INDEX model_tag_by_key ON model_tag (tag_key, model);

-- Never changes once it is written. The digest covers recipe, signature, lineage and artifacts. `source` and what follows it is
-- where a client said that the version comes from; `hands` is who applied its project, started its run and registered it; `source_run` is the run as the client wrote it, `run` the run that there is.
CREATE TABLE model_version (
    model TEXT NOT NULL,
    version BIGINT NOT NULL,
    digest TEXT NOT NULL,
    recipe TEXT NOT NULL,
    signature TEXT NOT NULL,
    lineage TEXT NOT NULL,
    artifacts TEXT NOT NULL,
    run TEXT,
    author TEXT NOT NULL,
    hands TEXT NOT NULL,
    registered_at BIGINT NOT NULL,
    source TEXT NOT NULL,
    location TEXT NOT NULL,
    source_run TEXT NOT NULL,
    run_link TEXT NOT NULL,
    logged_model TEXT,
    PRIMARY KEY (model, version)
);
CREATE INDEX model_version_by_source_run ON model_version (source_run);

-- What may change about a version: one row each.
CREATE TABLE model_version_state (
    model TEXT NOT NULL,
    version BIGINT NOT NULL,
    stage TEXT NOT NULL,
    description TEXT,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    PRIMARY KEY (model, version)
);
CREATE INDEX model_version_state_by_update ON model_version_state (updated_at);

CREATE TABLE model_version_tag (
    model TEXT NOT NULL,
    version BIGINT NOT NULL,
    tag_key TEXT NOT NULL,
    tag_value TEXT NOT NULL,
    PRIMARY KEY (model, version, tag_key)
);
CREATE INDEX model_version_tag_by_key ON model_version_tag (tag_key, model, version);

-- The report that counts for a version now. A new one voids gates and approvals that saw the old one.
CREATE TABLE model_report (
    model TEXT NOT NULL,
    version BIGINT NOT NULL,
    report TEXT NOT NULL,
    facts TEXT NOT NULL,
    attached_at BIGINT NOT NULL,
    PRIMARY KEY (model, version)
);

CREATE TABLE gate_decision (
    model TEXT NOT NULL,
    version BIGINT NOT NULL,
    report TEXT NOT NULL,
    gates TEXT NOT NULL,
    has_passed BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    decided_at BIGINT NOT NULL,
    PRIMARY KEY (model, version)
);

-- One row a person: whoever decides again replaces the earlier decision.
CREATE TABLE approval (
    model TEXT NOT NULL,
    version BIGINT NOT NULL,
    approver TEXT NOT NULL,
    verdict TEXT NOT NULL,
    version_digest TEXT NOT NULL,
    report TEXT NOT NULL,
    reason TEXT NOT NULL,
    decided_at BIGINT NOT NULL,
    PRIMARY KEY (model, version, approver)
);

CREATE TABLE model_alias (
    model TEXT NOT NULL,
    alias TEXT NOT NULL,
    version BIGINT NOT NULL,
    set_at BIGINT NOT NULL,
    set_by TEXT NOT NULL,
    PRIMARY KEY (model, alias)
);

-- The models that the applied project defines, and what of them nobody moves by hand. A model may have a row before it has versions.
CREATE TABLE model_protection (
    model TEXT PRIMARY KEY,
    aliases TEXT NOT NULL,
    stages TEXT NOT NULL,
    decided_at BIGINT NOT NULL
);

CREATE TABLE webhook (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    description TEXT NOT NULL,
    status TEXT NOT NULL,
    has_secret BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);

-- What deliveries are signed with. Plain, so that no digest of it stands in the ledger; it is written and never given out.
CREATE TABLE webhook_secret (
    webhook TEXT PRIMARY KEY,
    secret TEXT NOT NULL
);

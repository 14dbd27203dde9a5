-- registry
-- governed: model, model_version, model_report, gate_decision, approval, model_alias

CREATE TABLE model (
    name TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    owner TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Never changes once it is written. The digest covers recipe, signature, lineage and artifacts.
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
    registered_at BIGINT NOT NULL,
    PRIMARY KEY (model, version)
);

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

-- contract
-- What the rules of a source's contract said of its batches.
-- governed: contract_verdict, contract_refusal

-- The verdicts on the batch that became a version of a table.
CREATE TABLE contract_verdict (
    table_name TEXT NOT NULL,
    version BIGINT NOT NULL,
    digest TEXT NOT NULL,
    n_rules BIGINT NOT NULL,
    n_broken BIGINT NOT NULL,
    verdicts TEXT NOT NULL,
    PRIMARY KEY (table_name, version)
);

-- A batch that was refused. The same files under the same definition are one batch, however often they are tried.
CREATE TABLE contract_refusal (
    source TEXT NOT NULL,
    batch TEXT NOT NULL,
    source_version BIGINT NOT NULL,
    reason TEXT NOT NULL,
    files TEXT NOT NULL,
    verdicts TEXT NOT NULL,
    refused_at BIGINT NOT NULL,
    PRIMARY KEY (source, batch)
);
CREATE INDEX contract_refusal_by_time ON contract_refusal (source, refused_at);

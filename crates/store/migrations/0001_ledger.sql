-- ledger
-- The chain itself, what its entries mention (for lineage), and messages that leave in the same transaction as their cause.

-- One row: the end of the chain. On PostgreSQL a writer holds its lock, so that all servers write one after the other.
CREATE TABLE ledger_head (
    id BIGINT PRIMARY KEY,
    seq BIGINT NOT NULL,
    hash TEXT NOT NULL
);

CREATE TABLE ledger (
    seq BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    request_id TEXT NOT NULL,
    action TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_name TEXT NOT NULL,
    subject_version BIGINT,
    inputs TEXT NOT NULL,
    outputs TEXT NOT NULL,
    payload TEXT NOT NULL,
    row_images TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX ledger_by_action ON ledger (action, seq);
CREATE INDEX ledger_by_actor ON ledger (actor, seq);
CREATE INDEX ledger_by_time ON ledger (at, seq);
CREATE INDEX ledger_by_subject ON ledger (subject_kind, subject_name, subject_version, seq);

-- Every version that an entry mentions: part is 'subject', 'input' or 'output'.
CREATE TABLE ledger_link (
    seq BIGINT NOT NULL,
    position BIGINT NOT NULL,
    part TEXT NOT NULL,
    role TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT,
    digest TEXT,
    PRIMARY KEY (seq, position)
);
CREATE INDEX ledger_link_by_subject ON ledger_link (kind, name, version, part, seq);

-- Messages to deliver at least once, in order within a topic.
CREATE TABLE outbox (
    topic TEXT NOT NULL,
    dedupe_key TEXT NOT NULL,
    position BIGINT NOT NULL,
    payload TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    claimed_by TEXT,
    claimed_until BIGINT,
    done_at BIGINT,
    PRIMARY KEY (topic, dedupe_key)
);
CREATE UNIQUE INDEX outbox_by_position ON outbox (position);
CREATE INDEX outbox_pending ON outbox (topic, done_at, position);

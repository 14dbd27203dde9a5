-- governance
-- governed: actor, token

CREATE TABLE actor (
    name TEXT PRIMARY KEY,
    display_name TEXT NOT NULL,
    roles TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    disabled_at BIGINT
);

-- `purpose`: local (the workspace's token file), user, service. The token itself is shown once and never stored; `hash` is the SHA-256 of its text.
CREATE TABLE token (
    id TEXT PRIMARY KEY,
    actor TEXT NOT NULL,
    purpose TEXT NOT NULL,
    hash TEXT NOT NULL,
    label TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX token_by_actor ON token (actor);

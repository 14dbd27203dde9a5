-- serving: endpoints and the deployments that stand behind them
-- governed: endpoint, deployment

-- One row an endpoint: the generation that answers now. Retiring counts as a generation of its own, behind which nothing stands.
CREATE TABLE endpoint (
    name       TEXT   NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL,
    retired_at BIGINT
);

-- One row a change of an endpoint. `restores` names the generation that a rollback brought back.
CREATE TABLE deployment (
    endpoint     TEXT   NOT NULL,
    generation   BIGINT NOT NULL,
    routing      TEXT   NOT NULL,
    reason       TEXT   NOT NULL,
    restores     BIGINT,
    activated_at BIGINT NOT NULL,
    activated_by TEXT   NOT NULL,
    PRIMARY KEY (endpoint, generation)
);

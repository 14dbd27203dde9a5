-- features
-- governed: feature_view, training_set, materialization
-- Versions of feature views, the training sets built from them, and how far each view has come in the online store.

CREATE TABLE feature_view (
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    digest TEXT NOT NULL,
    owner TEXT NOT NULL,
    definition TEXT NOT NULL,
    relation TEXT NOT NULL,
    registered_at BIGINT NOT NULL,
    PRIMARY KEY (name, version)
);

CREATE TABLE training_set (
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    recipe TEXT NOT NULL,
    content TEXT NOT NULL,
    table_name TEXT NOT NULL,
    table_version BIGINT NOT NULL,
    columns TEXT NOT NULL,
    n_rows BIGINT NOT NULL,
    n_unlabelled BIGINT NOT NULL,
    window_from BIGINT NOT NULL,
    window_to BIGINT NOT NULL,
    as_of BIGINT NOT NULL,
    built_at BIGINT NOT NULL,
    PRIMARY KEY (name, version)
);
CREATE UNIQUE INDEX training_set_by_recipe ON training_set (name, recipe);

CREATE TABLE materialization (
    view_name TEXT NOT NULL,
    view_version BIGINT NOT NULL,
    watermark BIGINT NOT NULL,
    n_entities BIGINT NOT NULL,
    newest_event BIGINT,
    materialized_at BIGINT NOT NULL,
    PRIMARY KEY (view_name, view_version)
);

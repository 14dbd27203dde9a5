-- purged_run
-- Runs that were purged and of which logged rows are still to be removed, piece by piece. Their numbers are not given again meanwhile.

CREATE TABLE purged_run (
    number BIGINT NOT NULL PRIMARY KEY
);

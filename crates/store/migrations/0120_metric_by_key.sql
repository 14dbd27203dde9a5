-- tracking
-- Searches that ask for one metric of many runs. In SQLite what a run logged lies together, and looking it up run by run costs less than
-- writing each key a second time.

/* postgresql: CREATE INDEX run_latest_metric_by_key ON run_latest_metric (metric_key, run); */

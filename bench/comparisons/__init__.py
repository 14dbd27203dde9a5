"""One module a comparison; each offers `comparison()`."""

from . import data, flight, pipeline, point_in_time, predict, start, throughput, tracking, tracking_limit

COMPARISONS = {
    "start": start.comparison,
    "predict": predict.comparison,
    "throughput": throughput.comparison,
    "data": data.comparison,
    "flight": flight.comparison,
    "pipeline": pipeline.comparison,
    "point_in_time": point_in_time.comparison,
    "tracking": tracking.comparison,
    "tracking_postgres": tracking.on_postgres,
    "tracking_limit": tracking_limit.comparison,
}

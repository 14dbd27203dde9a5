"""One module a comparison; each offers `comparison()`."""

from . import pipeline, point_in_time, predict, start, throughput

COMPARISONS = {
    "start": start.comparison,
    "predict": predict.comparison,
    "throughput": throughput.comparison,
    "pipeline": pipeline.comparison,
    "point_in_time": point_in_time.comparison,
}

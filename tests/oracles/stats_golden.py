"""Golden values of lw-stats from scikit-learn and SciPy.

Run from the root of the repository: .venv/bin/python tests/oracles/stats_golden.py
Versions stand in tests/requirements.txt. The inputs are written beside the answers.
"""

import json
import pathlib

import numpy as np
import scipy.spatial.distance
import scipy.special
import scipy.stats
import sklearn.calibration
import sklearn.metrics as metrics

OUT = pathlib.Path(__file__).parents[2] / "crates/stats/tests/golden"


def probabilities(rng, n_rows, decimals):
    truth = rng.beta(0.8, 2.0, n_rows)
    labels = (rng.random(n_rows) < truth).astype(int)
    predictions = np.clip(truth + rng.normal(0, 0.15, n_rows), 0, 1).round(decimals)
    return labels, predictions


def delong_variance(labels, predictions):
    """Structural components by comparing every pair, as DeLong et al. (1988) define them."""
    positive, negative = predictions[labels == 1], predictions[labels == 0]
    wins = (positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])
    return wins.mean(axis=1).var(ddof=1) / len(positive) + wins.mean(axis=0).var(ddof=1) / len(negative)


def expected_calibration_error(labels, predictions):
    rate, mean = sklearn.calibration.calibration_curve(labels, predictions, n_bins=10, strategy="uniform")
    edges = np.linspace(0, 1, 11)
    counts = np.bincount(np.searchsorted(edges[1:-1], predictions), minlength=10)
    return float(np.sum(counts[counts > 0] / len(labels) * np.abs(rate - mean))), rate.tolist(), mean.tolist()


def bootstrap(statistic, labels, predictions):
    result = scipy.stats.bootstrap(
        (labels, predictions), statistic, paired=True, vectorized=False, n_resamples=2000,
        method="percentile", rng=np.random.default_rng(5))
    return [float(result.confidence_interval.low), float(result.confidence_interval.high)]


def classification():
    cases = []
    for seed, (n_rows, decimals) in enumerate([(400, 6), (400, 2), (250, 1), (37, 3)]):
        labels, predictions = probabilities(np.random.default_rng(seed), n_rows, decimals)
        threshold = [0.5, 0.3, 0.5, 0.4][seed]
        called = predictions >= threshold
        ece, rate, mean = expected_calibration_error(labels, predictions)
        cases.append({
            "labels": labels.tolist(),
            "predictions": predictions.tolist(),
            "threshold": threshold,
            "metrics": {
                "auc": metrics.roc_auc_score(labels, predictions),
                "average_precision": metrics.average_precision_score(labels, predictions),
                "log_loss": metrics.log_loss(labels, predictions),
                "brier": metrics.brier_score_loss(labels, predictions),
                "ece": ece,
                "accuracy": metrics.accuracy_score(labels, called),
                "precision": metrics.precision_score(labels, called),
                "recall": metrics.recall_score(labels, called),
                "f1": metrics.f1_score(labels, called),
            },
            "auc_variance": delong_variance(labels, predictions),
            "calibration": {"outcome_rate": rate, "mean_prediction": mean},
            "bootstrap": {
                "brier": bootstrap(metrics.brier_score_loss, labels, predictions),
                "log_loss": bootstrap(metrics.log_loss, labels, predictions),
            },
        })
    return cases


def regression():
    cases = []
    for seed, n_rows in enumerate([200, 15]):
        rng = np.random.default_rng(100 + seed)
        labels = rng.normal(10, 30, n_rows).round(3)
        predictions = (labels * 0.7 + rng.normal(5, 12, n_rows)).round(3)
        cases.append({
            "labels": labels.tolist(),
            "predictions": predictions.tolist(),
            "metrics": {
                "rmse": metrics.root_mean_squared_error(labels, predictions),
                "mae": metrics.mean_absolute_error(labels, predictions),
                "r2": metrics.r2_score(labels, predictions),
            },
            "bootstrap": {"rmse": bootstrap(metrics.root_mean_squared_error, labels, predictions)},
        })
    return cases


def drift():
    rng = np.random.default_rng(42)
    samples = []
    for first, second in [
        (rng.normal(0, 1, 300), rng.normal(0.2, 1, 200)),
        (rng.integers(0, 24, 500), rng.integers(2, 24, 300)),
        (rng.lognormal(0, 1, 100), rng.lognormal(0, 1, 400)),
    ]:
        first, second = first.round(4), second.round(4)
        statistic = scipy.stats.ks_2samp(first, second, method="asymp").statistic
        scale = np.sqrt(len(first) * len(second) / (len(first) + len(second)))
        samples.append({
            "first": first.tolist(),
            "second": second.tolist(),
            "statistic": float(statistic),
            "p_value": float(scipy.special.kolmogorov(scale * statistic)),
        })
    shares = []
    for n_cells in (2, 10, 40):
        p, q = rng.dirichlet(np.ones(n_cells)), rng.dirichlet(np.ones(n_cells))
        shares.append({
            "reference": p.tolist(),
            "window": q.tolist(),
            "psi": float(scipy.stats.entropy(p, q) + scipy.stats.entropy(q, p)),
            "js": float(scipy.spatial.distance.jensenshannon(p, q, base=2)),
        })
    tables = []
    for n_cells in (2, 5, 50):
        table = np.array([rng.multinomial(800, np.ones(n_cells) / n_cells),
                          rng.multinomial(300, rng.dirichlet(np.full(n_cells, 40.0)))])
        result = scipy.stats.chi2_contingency(table, correction=False)
        tables.append({
            "counts": table.tolist(),
            "statistic": float(result.statistic),
            "degrees_of_freedom": int(result.dof),
            "p_value": float(result.pvalue),
        })
    return {"samples": samples, "shares": shares, "tables": tables}


def intervals():
    cases = []
    for successes, trials in [(0, 10), (3, 10), (50, 80), (997, 1000), (10, 10)]:
        for level in (0.9, 0.95, 0.99):
            interval = scipy.stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
            cases.append({"successes": successes, "trials": trials, "level": level,
                          "low": float(interval.low), "high": float(interval.high)})
    return cases


def discoveries():
    cases = []
    for seed in range(6):
        rng = np.random.default_rng(200 + seed)
        p_values = np.concatenate([rng.random(12), rng.random(seed) * 1e-3])
        adjusted = scipy.stats.false_discovery_control(p_values, method="bh")
        cases.append({"p_values": p_values.tolist(), "found": (adjusted <= 0.05).tolist()})
    return cases


def quantiles():
    values = np.random.default_rng(7).normal(0, 5, 31).round(4)
    shares = [0.0, 0.025, 0.1, 0.5, 0.77, 0.975, 1.0]
    return {"values": values.tolist(), "shares": shares, "quantiles": np.quantile(values, shares).tolist(),
            "mean": float(values.mean()), "variance": float(values.var(ddof=1))}


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    for make in (classification, regression, drift, intervals, discoveries, quantiles):
        path = OUT / f"{make.__name__}.json"
        path.write_text(json.dumps(make(), indent=None, separators=(",", ":")) + "\n")
        print(path.name, path.stat().st_size)

"""How true `p_click` is across requests: the score alone against the score and its slate.

Each way is fitted on the validation period; the test period is later. Requests are put into twenty
groups of equal count, by rising told rate, and where the shop is simulated also by rising true
rate; the error is the distance between told and observed (or true) rate, averaged over groups.

    python -m benchmarks.ranker.calibration WORKSPACE
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from recsys.bundle.bundle import FULL, NO_TEXT, load_bundle
from recsys.datasets.simulation.world.truth import TRUTH_FOLDER, TruthImpressions
from recsys.metrics.calibration import log_loss
from recsys.ranker.calibration import fit_calibration
from recsys.ranker.ranker import Ranker, RankerRows
from recsys.text.encoder.bert import TextEncoder
from recsys.training.data import TrainingData
from recsys.training.rows import RankingRows
from recsys.workspace.workspace import Workspace

_GROUPS = 20


def group_error(by: np.ndarray, told: np.ndarray, rate: np.ndarray, groups: int = _GROUPS) -> float:
    """Give the mean distance of told and real rate over groups of requests.

    Args:
        by: What puts requests in order, float64 [n_requests].
        told: Mean probability of each request's candidates, float64 [n_requests].
        rate: Share of them that are positive, float64 [n_requests].
        groups: Number of groups of about equal count.

    Returns:
        The mean of |told - rate| over groups.
    """
    parts = np.array_split(np.argsort(by, kind="stable"), groups)
    return float(np.mean([abs(told[part].mean() - rate[part].mean()) for part in parts]))


def true_rates(workspace: Workspace, rows: RankingRows) -> np.ndarray | None:
    """Give the probability that the simulation drew each row's click from, None for real data."""
    path = workspace.root / TRUTH_FOLDER / "impressions.parquet"
    if not path.exists():
        return None
    keys = [TruthImpressions.request_id.name, TruthImpressions.item_id.name]
    truth = pl.read_parquet(path, columns=[*keys, TruthImpressions.p_click.name])
    joined = rows.requests.frame.select(keys).join(
        truth, on=keys, how="left", maintain_order="left"
    )
    return joined[TruthImpressions.p_click.name].to_numpy().astype(np.float64)


def tellings(
    ranker: Ranker, validation: RankerRows, test: RankerRows, columns: Sequence[str]
) -> dict[str, np.ndarray]:
    """Give what each way to a probability tells the test's candidates.

    Args:
        ranker: A bundle's ranker.
        validation: Rows to fit each way on.
        test: Later rows.
        columns: Of the matrices.

    Returns:
        float64 [n_rows] by the way's name.
    """
    scores, positive = ranker.score(validation.matrix), validation.grade > 0
    of_slate = fit_calibration(scores, validation.matrix[:, :0], validation.sizes, positive, ())
    whole = fit_calibration(scores, validation.matrix, validation.sizes, positive, columns)
    later = ranker.score(test.matrix)
    return {
        "base rate": np.full(len(later), positive.mean()),
        "score": whole.curve.probability(later),
        "score and slate's scores": of_slate.probability(later, test.matrix[:, :0], test.sizes),
        "score, slate's scores and means of features": whole.probability(
            later, test.matrix, test.sizes
        ),
    }


def figures_of(
    told: np.ndarray, positive: np.ndarray, truth: np.ndarray | None, sizes: np.ndarray
) -> dict[str, float]:
    """Judge probabilities of candidates, slate by slate.

    Args:
        told: float64 [n_rows].
        positive: bool [n_rows].
        truth: Probabilities that clicks were drawn from, float64 [n_rows]; None on real data.
        sizes: Candidates per slate, int64 [n_slates].

    Returns:
        Figures by name; what is told where the true rate is lowest and highest is of a tenth of
        the slates each.
    """
    starts = np.cumsum(sizes) - sizes

    def mean(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values.astype(np.float64), starts) / sizes

    figures = {
        "log_loss": log_loss(told, positive),
        "told": float(told.mean()),
        "observed": float(positive.mean()),
        "error_by_told": group_error(mean(told), mean(told), mean(positive)),
    }
    if truth is not None:
        figures["error_by_true"] = group_error(mean(truth), mean(told), mean(truth))
        tenths = np.array_split(np.argsort(mean(truth), kind="stable"), 10)
        for name, part in (("lowest", tenths[0]), ("highest", tenths[-1])):
            figures[f"true_{name}"] = float(mean(truth)[part].mean())
            figures[f"told_{name}"] = float(mean(told)[part].mean())
    return figures


def compare(workspace: Workspace) -> dict[str, dict[str, float]]:
    """Print and give the figures of both rungs of the workspace's bundle."""
    data = TrainingData.open(workspace)
    bundle = load_bundle(workspace.bundle())
    if bundle.manifest.encoder_fingerprint != data.texts.backend.fingerprint:
        text, device = bundle.config.text, data.config.encoding.device
        data = data.encoded_by(
            TextEncoder.load(bundle.encoder_folder, max_tokens=text.max_tokens, device=device)
        )
    cut_offs, periods = bundle.manifest.cut_offs, data.config.periods
    validation, test = (
        data.rows(bundle.signals, int(until.timestamp() * 1e6), period)
        for until, period in (
            (cut_offs.text_trained_until, periods.validation),
            (cut_offs.validation_until, periods.test),
        )
    )
    truth = true_rates(workspace, test)
    found: dict[str, dict[str, float]] = {}
    for rung, scorer in ((FULL, bundle.full), (NO_TEXT, bundle.no_text)):
        if scorer.calibration is None:
            continue
        fitted, later = (rows.for_ranker(with_text=rung == FULL) for rows in (validation, test))
        for way, told in tellings(scorer.ranker, fitted, later, scorer.ranker.names).items():
            figures = figures_of(told, later.grade > 0, truth, later.sizes)
            print(f"{rung}, {way}: " + ", ".join(f"{k} {v:.4f}" for k, v in figures.items()))
            found[f"{rung}, {way}"] = figures
    return found


def main() -> None:
    """Read the command line and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path)
    workspace = Workspace.open(parser.parse_args().workspace)
    about = {"benchmark": "calibration", "data": workspace.config.name}
    print(json.dumps({**about, "figures": compare(workspace)}))


if __name__ == "__main__":
    main()

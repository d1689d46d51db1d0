"""How true `p_click` is across requests: the score alone against the score and its slate.

Both were fitted on the validation period; the test period is later. Requests are put into twenty
groups of equal count, by rising told rate, and where the shop is simulated also by rising true
rate; the error is the distance between told and observed (or true) rate, averaged over groups.

    python -m benchmarks.ranker.calibration WORKSPACE
"""

import argparse
import json
from pathlib import Path

import numpy as np
import polars as pl

from recsys.bundle.bundle import load_bundle
from recsys.datasets.simulation.world.truth import TRUTH_FOLDER, TruthImpressions
from recsys.metrics.calibration import log_loss
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


def compare(workspace: Workspace) -> dict[str, dict[str, float]]:
    """Print and give the figures of both rungs of the workspace's bundle."""
    data = TrainingData.open(workspace)
    bundle = load_bundle(workspace.bundle())
    if bundle.manifest.encoder_fingerprint != data.texts.backend.fingerprint:
        text, device = bundle.config.text, data.config.encoding.device
        data = data.encoded_by(
            TextEncoder.load(bundle.encoder_folder, max_tokens=text.max_tokens, device=device)
        )
    until = int(bundle.manifest.cut_offs.validation_until.timestamp() * 1e6)
    rows = data.rows(bundle.signals, until, data.config.periods.test)
    truth = true_rates(workspace, rows)
    positive = rows.slates.grade > 0
    found: dict[str, dict[str, float]] = {}
    for rung, scorer in (("full", bundle.full), ("no_text", bundle.no_text)):
        if scorer.calibration is None:
            continue
        each = rows.for_ranker(with_text=rung == "full")
        scores, starts = scorer.ranker.score(each.matrix), np.cumsum(each.sizes) - each.sizes

        def mean(values: np.ndarray, starts: np.ndarray = starts) -> np.ndarray:
            return np.add.reduceat(values.astype(np.float64), starts) / np.diff(
                np.append(starts, len(values))
            )

        for name, told in (
            ("score alone", scorer.calibration.curve.probability(scores)),
            ("score and slate", scorer.calibration.probability(scores, each.matrix, each.sizes)),
        ):
            figures = {
                "log_loss": log_loss(told, positive),
                "told": float(told.mean()),
                "observed": float(positive.mean()),
                "error_by_told": group_error(mean(told), mean(told), mean(positive)),
            }
            if truth is not None:
                figures["error_by_true"] = group_error(mean(truth), mean(told), mean(truth))
            print(f"{rung}, {name}: " + ", ".join(f"{k} {v:.4f}" for k, v in figures.items()))
            found[f"{rung}, {name}"] = figures
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

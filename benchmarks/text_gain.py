"""What text adds to behaviour on a workspace's test period, over the bundles of several seeds.

Prints the difference of nDCG@10 with its interval over users per slice, and as the last line JSON.
"""

import argparse
import json
from pathlib import Path

from recsys.bootstrap import Estimate
from recsys.evaluate import evaluate
from recsys.metrics import NDCG_AT_10
from recsys.report import BEHAVIOUR_ONLY, sentence
from recsys.train import BUNDLES, bundle_name
from recsys.workspace import Workspace
from recsys.workspace_features import open_workspace_log


def main() -> None:
    """Evaluate the bundles that are there and print what text adds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--seeds", type=int, default=1, help="as many as were trained")
    arguments = parser.parse_args()
    workspace = Workspace.open(arguments.workspace)
    bundles = [workspace.root / BUNDLES / bundle_name(seed) for seed in range(arguments.seeds)]
    command = f"python benchmarks/text_gain.py {arguments.workspace} --seeds {arguments.seeds}"
    result = evaluate(workspace, open_workspace_log(workspace), bundles, command)
    gains = [each for each in result.differences if each.metric == NDCG_AT_10]
    for gain in gains:
        print(sentence(gain))
    summary = {
        "benchmark": "text_gain",
        "data": result.data_name,
        "slate_source": result.slate_source,
        "data_origin": result.data_origin,
        "seeds": arguments.seeds,
        "behaviour_only": {
            gain.slice: _mean(result.estimate(gain.slice, BEHAVIOUR_ONLY, NDCG_AT_10))
            for gain in gains
        },
        "gain": {
            gain.slice: [gain.estimate.mean, gain.estimate.low, gain.estimate.high]
            for gain in gains
        },
    }
    print(json.dumps(summary))


def _mean(estimate: Estimate | None) -> float | None:
    return None if estimate is None else estimate.mean


if __name__ == "__main__":
    main()

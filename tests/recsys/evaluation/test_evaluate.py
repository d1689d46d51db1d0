import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from data_contracts.errors import LeakError, UsageError
from recsys.bundle.bundle import Bundle
from recsys.evaluation.evaluate import NEW_TO_USER, evaluate
from recsys.evaluation.result import (
    ALL,
    BEHAVIOUR_ONLY,
    LOGGED_ORDER,
    POPULARITY,
    POPULARITY_RATE,
    RANDOM,
    TEXT_AND_BEHAVIOUR,
    TEXT_ONLY,
    EvaluationResult,
)
from recsys.metrics.ranking import AUC, MAP, MRR, NDCG_AT_10, RECALL_AT_10
from recsys.reports.evaluation import render_markdown, render_terminal, save_reports
from recsys.training.data import TrainingData
from recsys.training.train import train
from recsys.workspace.config import CONFIG_NAME, write_config
from recsys.workspace.workspace import Workspace

MODELS = {
    RANDOM,
    POPULARITY,
    POPULARITY_RATE,
    LOGGED_ORDER,
    TEXT_ONLY,
    BEHAVIOUR_ONLY,
    TEXT_AND_BEHAVIOUR,
}


@pytest.fixture(scope="module")
def result(tiny_data: TrainingData, tiny_bundle_folder: Path) -> EvaluationResult:
    return evaluate(tiny_data, [tiny_bundle_folder], "recsys evaluate tiny")


def mean(result: EvaluationResult, model: str, metric: str = NDCG_AT_10, part: str = ALL) -> float:
    found = result.estimate(part, model, metric)
    assert found is not None
    return found.mean


def test_every_model_is_told_on_every_slice_by_every_metric(result: EvaluationResult) -> None:
    told = {(value.slice, value.model, value.metric) for value in result.values}
    assert {model for _, model, _ in told} == MODELS
    metrics = (NDCG_AT_10, MRR, AUC, MAP, RECALL_AT_10)
    assert told == set(itertools.product(result.slices, MODELS, metrics))
    assert {ALL, NEW_TO_USER} <= set(result.slices)
    for value in result.values:
        if value.slice == ALL:
            assert value.estimate.low <= value.estimate.mean <= value.estimate.high
    assert (result.data_origin, result.slate_source) == ("simulated", "logged")
    assert result.calibration
    assert result.log_loss is not None
    assert 0 < result.log_loss < np.log(2)


def test_what_knows_something_beats_chance(result: EvaluationResult) -> None:
    assert mean(result, RANDOM, AUC) == pytest.approx(0.5, abs=0.08)
    for model in (TEXT_AND_BEHAVIOUR, BEHAVIOUR_ONLY, LOGGED_ORDER):
        assert mean(result, model, AUC) > 0.55


def test_differences_are_between_the_values(result: EvaluationResult) -> None:
    assert result.differences
    for each in result.differences:
        if each.slice == ALL:
            expected = mean(result, TEXT_AND_BEHAVIOUR, each.metric) - mean(
                result, BEHAVIOUR_ONLY, each.metric
            )
            assert each.estimate.mean == pytest.approx(expected, abs=1e-9)


def test_the_test_period_is_all_that_is_looked_at(
    result: EvaluationResult, trained_workspace: Workspace
) -> None:
    config = trained_workspace.config
    test = config.periods.test
    assert result.test_start == test.start
    shown = trained_workspace.scan("impressions").collect()
    assert test.start is not None
    requests = shown.filter(shown["timestamp"] >= test.start)["request_id"].n_unique()
    assert result.n_requests == requests


def test_several_bundles_are_averaged(
    tiny_workspace: Workspace, tiny_bundle_folder: Path, result: EvaluationResult
) -> None:
    data = TrainingData.open(tiny_workspace)
    other = train(data, seed=1)
    alone = evaluate(data, [other], "")
    both = evaluate(data, [tiny_bundle_folder, other], "")
    for model in (TEXT_AND_BEHAVIOUR, BEHAVIOUR_ONLY, TEXT_ONLY):
        expected = (mean(result, model) + mean(alone, model)) / 2
        assert mean(both, model) == pytest.approx(expected, abs=1e-9)
    assert mean(both, TEXT_AND_BEHAVIOUR) != mean(result, TEXT_AND_BEHAVIOUR)
    assert both.bundle == f"{result.bundle}, {alone.bundle}"
    assert both.versions == (*result.versions, *alone.versions)


def test_a_result_names_the_version_it_is_of(result: EvaluationResult, tiny_bundle: Bundle) -> None:
    (told,) = result.versions
    assert (told.bundle, told.version) == ("current", tiny_bundle.version.name)
    assert told.fingerprint == tiny_bundle.fingerprint
    shown = f"current {tiny_bundle.version.name}"
    assert result.bundle == shown
    console = Console(width=200)
    with console.capture() as printed:
        console.print(render_terminal(result))
    assert all(shown in page for page in (printed.get(), render_markdown(result)))
    copied = told.model_copy(update={"version": "a copy"})
    assert str(copied) == f"current a copy ({tiny_bundle.fingerprint})"


def test_reports_are_written_and_read_again(
    tiny_workspace: Workspace, result: EvaluationResult
) -> None:
    paths = save_reports(tiny_workspace, result)
    assert [path.parent for path in paths] == [tiny_workspace.reports] * 2
    assert EvaluationResult.model_validate_json(paths[0].read_bytes()) == result
    page = paths[1].read_text(encoding="utf-8")
    assert TEXT_AND_BEHAVIOUR in page
    assert result.versions[0].version in page
    assert "Simulated data" in page


def test_weights_of_the_log_weigh_the_result_and_are_told(
    tiny_workspace: Workspace, tiny_bundle_folder: Path, result: EvaluationResult
) -> None:
    shown = tiny_workspace.scan("impressions").collect()
    halves = shown["request_id"].rank("dense") % 2 == 0

    def weighing(weight: pl.Series) -> EvaluationResult:
        table = shown.with_columns(weight.cast(pl.Float64).alias("weight"))
        table.write_parquet(tiny_workspace.location("impressions"))
        data = TrainingData.open(tiny_workspace)
        data.compute_features()
        return evaluate(data, [tiny_bundle_folder], "recsys evaluate tiny")

    assert weighing(pl.repeat(1, shown.height, eager=True)) == result
    twice = weighing(pl.repeat(2, shown.height, eager=True))
    assert twice.showings == 2 * result.n_requests
    assert twice.n_requests == result.n_requests
    assert twice.log_loss == pytest.approx(result.log_loss)
    assert mean(twice, TEXT_AND_BEHAVIOUR) == pytest.approx(mean(result, TEXT_AND_BEHAVIOUR))
    uneven = weighing(halves.cast(pl.Float64) * 9 + 1)
    assert mean(uneven, TEXT_AND_BEHAVIOUR) != pytest.approx(mean(result, TEXT_AND_BEHAVIOUR))
    assert uneven.showings is not None
    assert f"(for {uneven.showings:,.0f} showings)" in render_markdown(uneven)
    assert "showings" not in render_markdown(result)


def changed(workspace: Workspace, part: str, **fields: object) -> Workspace:
    config = workspace.config
    if part:
        fields = {part: getattr(config, part).model_copy(update=fields)}
    write_config(config.model_copy(update=fields), workspace.root / CONFIG_NAME)
    return Workspace.open(workspace.root)


@pytest.mark.parametrize(
    ("part", "fields"),
    [
        ("", {"name": "another shop"}),
        ("features", {"windows_days": (1, 7)}),
        ("text", {"max_tokens": 16}),
    ],
)
def test_a_bundle_of_another_workspace_is_refused(
    tiny_workspace: Workspace, tiny_bundle_folder: Path, part: str, fields: dict[str, object]
) -> None:
    other = changed(tiny_workspace, part, **fields)
    data = TrainingData.open(other)
    data.compute_features()
    with pytest.raises(UsageError, match="train"):
        evaluate(data, [tiny_bundle_folder], "")


def test_a_bundle_that_saw_the_test_period_is_refused(
    tiny_workspace: Workspace, tiny_bundle: Bundle
) -> None:
    split = tiny_workspace.config.split
    step = (split.validation_end - split.ranker_end) / 4
    other = changed(tiny_workspace, "split", validation_end=split.validation_end - step)
    data = TrainingData.open(other)
    data.compute_features()
    with pytest.raises(LeakError):
        evaluate(data, [tiny_bundle.folder], "")


def test_no_bundle_is_refused(tiny_data: TrainingData) -> None:
    with pytest.raises(UsageError, match="no bundle"):
        evaluate(tiny_data, [], "")


def test_the_random_order_is_the_same_each_time(
    tiny_data: TrainingData, tiny_bundle_folder: Path, result: EvaluationResult
) -> None:
    again = evaluate(tiny_data, [tiny_bundle_folder], "recsys evaluate tiny")
    assert again == result
    assert np.isfinite(mean(again, RANDOM))

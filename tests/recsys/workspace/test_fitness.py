import polars as pl
import pytest

from data_contracts.errors import DataError
from recsys.workspace.findings import ValidationReport
from recsys.workspace.fitness import require_fit
from recsys.workspace.shortages import TEST
from recsys.workspace.validate import validate
from recsys.workspace.workspace import Workspace
from tests.recsys.workspace.worlds import DAYS, World, interactions


def opened(world: World) -> Workspace:
    world.write()
    return Workspace(world.root, world.config)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[ValidationReport]:
    """Every look at the tables."""
    seen: list[ValidationReport] = []

    def counted(*args: object, **kwargs: object) -> ValidationReport:
        seen.append(validate(*args, **kwargs))  # type: ignore[arg-type]
        return seen[-1]

    monkeypatch.setattr("recsys.workspace.fitness.validate", counted)
    return seen


def test_a_fit_workspace_is_looked_at_once_until_a_table_or_a_setting_changes(
    world: World, calls: list[ValidationReport]
) -> None:
    workspace = opened(world)
    for _ in range(2):
        require_fit(workspace)
    assert len(calls) == 1
    labels = world.config.labels.model_copy(update={"attribution_window_hours": 23})
    world.config = world.config.model_copy(update={"labels": labels})
    require_fit(opened(world))
    assert len(calls) == 2
    world.add("interactions", 0, pl.lit("again").alias("event_id"))
    require_fit(opened(world))
    assert len(calls) == 3


def test_the_first_error_is_told_with_its_rule_count_and_offender(world: World) -> None:
    world.change("impressions", pl.col("position").replace(2, 0))
    told = rf"impressions position\|min: {DAYS} \(request_id='r0' item_id='b'"
    with pytest.raises(DataError, match=told):
        require_fit(opened(world))


def test_what_was_refused_is_looked_at_again(world: World, calls: list[ValidationReport]) -> None:
    world.change("interactions", pl.lit("").alias("event_id"))
    for _ in range(2):
        with pytest.raises(DataError, match="event_id"):
            require_fit(opened(world), ())
    assert len(calls) == 2


def test_only_the_parts_that_the_work_uses_have_to_hold_something(world: World) -> None:
    last = pl.col("timestamp") < world.config.split.validation_end
    world.tables["interactions"] = interactions().filter(last)
    workspace = opened(world)
    require_fit(workspace)
    with pytest.raises(DataError, match="split test_without_positives"):
        require_fit(workspace, (TEST,))

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from data_contracts.errors import DataError, UsageError
from recsys.datasets.mind import import_mind
from recsys.workspace.config import read_config
from tests.recsys.datasets.checks import assert_is_workspace, read_tables, rows_for
from tests.recsys.datasets.mind_folder import CATEGORIES, write_mind_folder

NEWS = 'N{0}\tsports\tgolf\tA "quoted title {0}\tAbout {0}\thttps://x\t[]\t[]'


def write_folder(path: Path, news: list[str], behaviours: list[str]) -> Path:
    path.mkdir()
    (path / "news.tsv").write_text("".join(line + "\n" for line in news), encoding="utf-8")
    (path / "behaviors.tsv").write_text("".join(f"{row}\n" for row in behaviours), encoding="utf-8")
    return path


def small_folder(path: Path, extra: tuple[str, ...] = ()) -> Path:
    """Four impressions of two users, not in order of time, and six more to fill up the split."""
    rows = [
        "1\tU1\t11/12/2019 2:14:46 PM\tN1 N2 N2\tN3-0 N1-1",
        "2\tU1\t11/9/2019 12:00:00 AM\tN1 N2 N2\tN2-1 N3-0",
        "3\tU2\t11/13/2019 9:00:00 AM\t\tN1-0 N9-1 N2-0",
        "4\tU2\t11/14/2019 9:00:00 AM\tN9\tN1-0 N9-1",
    ]
    fill = [f"{i}\tU3\t11/{i}/2019 9:00:00 PM\t\tN1-1 N2-0" for i in range(20, 26)]
    return write_folder(path, [NEWS.format(i) for i in (1, 2, 3)], [*rows, *fill, *extra])


def test_a_generated_folder_becomes_a_workspace(tmp_path: Path) -> None:
    folder = write_mind_folder(tmp_path / "mind")
    report = import_mind(folder.path, tmp_path / "ws")
    assert_is_workspace(tmp_path / "ws", report)
    tables = read_tables(tmp_path / "ws")
    assert tables["impressions"]["request_id"].n_unique() == folder.behaviours
    assert rows_for(report, "behaviours", "as in test sets") == folder.unlabelled
    without_text = tables["items"].filter(pl.col("title") == "")
    assert set(folder.unknown_news) <= set(without_text["item_id"])
    assert rows_for(report, "news", "not in news.tsv") == without_text.height
    assert tables["items"].height == folder.news + without_text.height
    assert tables["items"]["title"].str.contains('"').sum() == folder.news


def test_clicks_of_the_generated_folder_follow_a_favourite_category(tmp_path: Path) -> None:
    folder = write_mind_folder(tmp_path / "mind", users=8, items=200, behaviours=400)
    import_mind(folder.path, tmp_path / "ws")
    tables = read_tables(tmp_path / "ws")
    clicks = tables["interactions"].filter(pl.col("request_id").is_not_null())
    of_category = (
        clicks.join(tables["items"], on="item_id")
        .filter(pl.col("category").is_not_null())
        .group_by("user_id", "category")
        .len()
    )
    shares = of_category.group_by("user_id").agg(pl.col("len").max() / pl.col("len").sum())
    assert (shares["len"] > 1 / len(CATEGORIES) + 0.2).all()


def test_slates_keep_the_order_and_clicks_of_the_log(tmp_path: Path) -> None:
    import_mind(small_folder(tmp_path / "mind"), tmp_path / "ws")
    tables = read_tables(tmp_path / "ws")
    third = tables["impressions"].filter(pl.col("request_id") == "3")
    assert third["item_id"].to_list() == ["N1", "N9", "N2"]
    assert third["position"].to_list() == [1, 2, 3]
    clicks = tables["interactions"].filter(pl.col("request_id") == "3")
    assert clicks["item_id"].to_list() == ["N9"]
    shown_at = datetime(2019, 11, 13, 9, tzinfo=UTC)
    assert clicks["timestamp"].to_list() == [shown_at + timedelta(seconds=1)]
    assert read_config(tmp_path / "ws" / "recsys.toml").slate_source == "logged"


def test_a_history_stands_before_the_earliest_impression_once(tmp_path: Path) -> None:
    report = import_mind(small_folder(tmp_path / "mind"), tmp_path / "ws")
    interactions = read_tables(tmp_path / "ws")["interactions"]
    history = interactions.filter(pl.col("request_id").is_null())
    assert set(history["kind"]) == {"history"}
    assert read_config(tmp_path / "ws" / "recsys.toml").features.profile_kinds == ("history",)
    first = datetime(2019, 11, 9, tzinfo=UTC)
    minutes = [timedelta(minutes=3), timedelta(minutes=2), timedelta(minutes=1)]
    assert history["item_id"].to_list() == ["N1", "N2", "N2"]
    assert history["timestamp"].to_list() == [first - before for before in minutes]
    # Nobody knows the visits of a history; as one, a reader of years would look like a newcomer.
    assert (
        history.select("user_id", "session_id").n_unique() == history["session_id"].n_unique() == 3
    )
    # The second row of U1 repeats three clicks, that of U2 adds one to an empty history.
    assert rows_for(report, "clicks of histories", "later row") == 3 + 1


def test_repeats_are_set_aside_and_a_click_on_one_counts(tmp_path: Path) -> None:
    extra = (
        "4\tU1\t11/15/2019 9:00:00 AM\t\tN1-0 N2-1",
        "5\tU3\t11/15/2019 9:00:00 AM\t\tN1-0 N2-0 N1-1",
        "\tU3\t11/15/2019 9:00:00 AM\t\tN1-0 N2-1",
        "6\tU3\t11/15/2019 9:00:00 AM\t\t",
    )
    folder = small_folder(tmp_path / "mind", extra)
    news = folder / "news.tsv"
    news.write_text(news.read_text() + NEWS.format(1) + "\n", encoding="utf-8")
    report = import_mind(folder, tmp_path / "ws")
    assert_is_workspace(tmp_path / "ws", report)
    assert rows_for(report, "behaviours", "impression id that stands") == 1
    assert rows_for(report, "behaviours", "no impression id") == 1
    assert rows_for(report, "behaviours", "nothing shown") == 1
    assert rows_for(report, "shown news", "stands earlier") == 1
    assert rows_for(report, "news", "earlier row") == 1
    clicks = read_tables(tmp_path / "ws")["interactions"].filter(pl.col("request_id") == "5")
    assert clicks["item_id"].to_list() == ["N1"]


def test_the_split_leaves_half_the_impressions_to_the_text_model(tmp_path: Path) -> None:
    folder = write_mind_folder(tmp_path / "mind", behaviours=200)
    import_mind(folder.path, tmp_path / "ws")
    split = read_config(tmp_path / "ws" / "recsys.toml").split
    requests = read_tables(tmp_path / "ws")["impressions"].unique("request_id")["timestamp"]
    assert (requests < split.text_end).sum() == 200 * 0.5
    assert (requests < split.ranker_end).sum() == 200 * 0.75
    assert (requests < split.validation_end).sum() == 200 * 0.85


@pytest.mark.parametrize(
    ("file", "line", "parts"),
    [
        ("behaviors.tsv", "5\tU1\t11/12/2019 2:14:46 PM\tN1-0", ("line 11", "4 fields")),
        ("behaviors.tsv", "5\tU1\t12.11.2019\t\tN1-0", ("line 11", "'12.11.2019'")),
        ("behaviors.tsv", "5\tU1\t\t\tN1-0", ("line 11", "None")),
        ("news.tsv", NEWS.format(4) + "\tmore", ("line 4", "9 fields")),
        ("news.tsv", "", ("line 4", "1 fields")),
    ],
)
def test_a_line_that_does_not_fit_is_named(
    tmp_path: Path, file: str, line: str, parts: tuple[str, str]
) -> None:
    folder = small_folder(tmp_path / "mind")
    with (folder / file).open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")
    with pytest.raises(DataError) as error:
        import_mind(folder, tmp_path / "ws")
    assert file in error.value.found
    assert all(part in error.value.found for part in parts)
    assert not (tmp_path / "ws").exists()


@pytest.mark.parametrize("file", ["news.tsv", "behaviors.tsv"])
def test_missing_empty_and_binary_files_are_refused(tmp_path: Path, file: str) -> None:
    path = small_folder(tmp_path / "mind") / file
    fields = 8 if file == "news.tsv" else 5
    for content in (b"", b"\xff" + b"\t" * (fields - 1) + b"\n"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=file):
            import_mind(tmp_path / "mind", tmp_path / "ws")
    path.unlink()
    with pytest.raises(DataError, match=f"no file .*{file}"):
        import_mind(tmp_path / "mind", tmp_path / "ws")


def test_a_test_part_without_labels_is_refused(tmp_path: Path) -> None:
    rows = [f"{i}\tU1\t11/12/2019 2:14:46 PM\tN1\tN1 N2" for i in range(9)]
    folder = write_folder(tmp_path / "mind", [NEWS.format(1)], rows)
    with pytest.raises(DataError, match="no labels"):
        import_mind(folder, tmp_path / "ws")


def test_a_log_of_one_moment_cannot_be_split(tmp_path: Path) -> None:
    rows = [f"{i}\tU1\t11/12/2019 2:14:46 PM\tN1\tN1-0 N2-1" for i in range(9)]
    folder = write_folder(tmp_path / "mind", [NEWS.format(1)], rows)
    with pytest.raises(DataError, match="longer log"):
        import_mind(folder, tmp_path / "ws")


def test_other_folders_and_workspaces_are_not_replaced_unasked(tmp_path: Path) -> None:
    folder = small_folder(tmp_path / "mind")
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("dear", encoding="utf-8")
    for target in (other, other / "letter.txt"):
        with pytest.raises(UsageError, match=r"other content|a file"):
            import_mind(folder, target, overwrite=True)
    with pytest.raises(UsageError, match="lies in the target"):
        import_mind(folder, tmp_path, overwrite=True)
    import_mind(folder, tmp_path / "ws")
    with pytest.raises(UsageError, match="workspace already"):
        import_mind(folder, tmp_path / "ws")
    (tmp_path / "ws" / "left over").touch()
    import_mind(folder, tmp_path / "ws", overwrite=True)
    assert not (tmp_path / "ws" / "left over").exists()
    assert [path.name for path in other.iterdir()] == ["letter.txt"]

import html
import io
import json
import math
import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Literal

import pytest
from rich.console import Console

from data_contracts.errors import DataError
from recsys.evaluation.result import (
    BEHAVIOUR_ONLY,
    RANDOM,
    TEXT_AND_BEHAVIOUR,
    ColumnGain,
    Difference,
    EvaluationResult,
    RankerFacts,
    SliceSize,
    SliceValue,
    read_result,
    save_result,
)
from recsys.metrics.calibration import CalibrationBin
from recsys.metrics.intervals import Estimate
from recsys.metrics.ranking import AUC, MRR, NDCG_AT_10
from recsys.reports.evaluation import (
    interval,
    render_html,
    render_markdown,
    render_terminal,
    save_html,
    sentence,
)
from recsys.reports.numbers import number, signed

NAN = math.nan
NOTHING = Estimate(NAN, NAN, NAN, 0, 0)
ALL, NEW = "all", "items <new> & rare"
MODELS = (RANDOM, BEHAVIOUR_ONLY, TEXT_AND_BEHAVIOUR)


def difference(low: float, mean: float, high: float, *, where: str = ALL) -> Difference:
    return Difference(
        slice=where,
        metric=NDCG_AT_10,
        model=TEXT_AND_BEHAVIOUR,
        baseline=BEHAVIOUR_ONLY,
        estimate=Estimate(mean, low, high, 30, 10),
    )


def size(
    name: str,
    judged: int = 1234,
    left_out: tuple[int, int] = (0, 0),
    says_nothing: Literal["too wide", "too narrow"] | None = None,
) -> SliceSize:
    return SliceSize(
        slice=name,
        n_candidates=10 * judged,
        n_judged=judged,
        n_users=min(judged, 99),
        n_without_positive=left_out[0],
        n_only_positives=left_out[1],
        share_of_requests=judged / 1234,
        share_of_candidates=judged / 1234,
        says_nothing=says_nothing,
    )


@pytest.fixture
def result() -> EvaluationResult:
    values = [
        SliceValue(
            slice=name,
            model=model,
            metric=metric,
            estimate=Estimate(0.1 * place + 0.2, 0.1 * place + 0.1, 0.1 * place + 0.3, 1234, 99),
        )
        for name in (ALL, NEW)
        for metric in ("recall@10", AUC, NDCG_AT_10, MRR)
        for place, model in enumerate(MODELS)
        if (name, model) != (NEW, RANDOM)
    ]
    unknown = SliceValue(slice=NEW, model=RANDOM, metric=NDCG_AT_10, estimate=NOTHING)
    return EvaluationResult(
        data_name="Tiny shop",
        data_origin="simulated",
        slate_source="sampled",
        note="Made for a test.",
        bundle="f00d",
        command="recsys evaluate bundle",
        test_start=datetime(2025, 3, 1, tzinfo=UTC),
        test_end=datetime(2025, 4, 1, tzinfo=UTC),
        n_requests=1234,
        n_users=99,
        share_with_text=0.875,
        sizes=(size(ALL), size(NEW, judged=7, left_out=(1200, 27), says_nothing="too narrow")),
        values=(*values, unknown),
        rankers=(
            RankerFacts(
                model=TEXT_AND_BEHAVIOUR,
                trees=(12, 1034),
                importances=tuple(
                    ColumnGain(column=f"column {place}", share=0.5 ** (place + 1))
                    for place in range(20)
                ),
            ),
        ),
        differences=(difference(0.001, 0.004, 0.007), difference(-0.01, 0.0, 0.01, where=NEW)),
        calibration=(CalibrationBin(0.1, 0.12, 50), CalibrationBin(0.5, 0.4, 50)),
        gain_by_history=(
            difference(0.02, 0.03, 0.04, where="0"),
            difference(-0.001, 0.01, 0.02, where="1-9"),
            Difference(
                slice="10+",
                metric=NDCG_AT_10,
                model=TEXT_AND_BEHAVIOUR,
                baseline=BEHAVIOUR_ONLY,
                estimate=NOTHING,
            ),
        ),
    )


def printed(result: EvaluationResult, width: int = 80) -> str:
    shown = io.StringIO()
    Console(width=width, file=shown).print(render_terminal(result))
    return shown.getvalue()


@pytest.mark.parametrize(
    ("value", "plain", "with_sign"),
    [
        (0.6244, ".624", "+.624"),
        (-0.0126, "-.013", "-.013"),
        (0.0, ".000", "+.000"),
        (0.0001, ".000", "+.000"),
        (-0.0001, ".000", "-.000"),
        (1.0, "1.000", "+1.000"),
        (10.5, "10.500", "+10.500"),
        (NAN, "-", "-"),
    ],
)
def test_numbers_are_short(value: float, plain: str, with_sign: str) -> None:
    assert (number(value), signed(value)) == (plain, with_sign)


def test_an_interval_is_a_dash_when_there_is_none() -> None:
    assert interval(Estimate(0.624, 0.614, 0.634, 10, 5)) == ".624 [.614, .634]"
    assert interval(None) == interval(NOTHING) == "-"


@pytest.mark.parametrize(
    ("low", "mean", "high", "verdict"),
    [
        (0.001, 0.004, 0.007, "better"),
        (-0.007, -0.004, -0.001, "worse"),
        (-0.001, 0.004, 0.007, "no difference shown"),
        (NAN, NAN, NAN, "no difference shown"),
    ],
)
def test_a_comparison_says_what_its_interval_allows(
    low: float, mean: float, high: float, verdict: str
) -> None:
    compared = difference(low, mean, high)
    assert sentence(compared).endswith(f"[{signed(low)}, {signed(high)}], {verdict}")


def test_a_saved_result_is_read_back_the_same(result: EvaluationResult, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "result.json"
    save_result(result, path)
    again = read_result(path)
    assert again.model_dump_json() == result.model_dump_json()
    assert render_markdown(again) == render_markdown(result)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_what_is_no_number_is_null_in_json(result: EvaluationResult, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    save_result(result, path)
    estimate = json.loads(path.read_text(), parse_constant=pytest.fail)["values"][-1]["estimate"]
    assert estimate["mean"] is None
    last = read_result(path).values[-1].estimate
    assert math.isnan(last.mean)
    assert last.n_requests == 0


@pytest.mark.parametrize("text", ["", "{", '{"format": 1}', '{"format": 2}'])
def test_what_is_no_result_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(DataError, match="recsys evaluate"):
        read_result(path)


def test_a_missing_result_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json"):
        read_result(tmp_path / "none.json")


def test_the_headline_metrics_come_first(result: EvaluationResult) -> None:
    assert result.metrics == [NDCG_AT_10, MRR, AUC, "recall@10"]
    assert result.slices == [ALL, NEW]
    assert result.models == list(MODELS)


@pytest.mark.parametrize("width", [80, 200])
def test_the_terminal_shows_every_headline_value_whole(
    result: EvaluationResult, width: int
) -> None:
    lines = printed(result, width).splitlines()
    rows = [line.split() for line in lines if line.startswith(TEXT_AND_BEHAVIOUR)]
    assert rows == [[*TEXT_AND_BEHAVIOUR.split(), *[".400", "[.300,", ".500]"] * 3]] * 2
    assert [line.split()[1:] for line in lines if line.startswith(RANDOM)][1] == ["-"] * 3
    assert "recall@10" not in printed(result, width)


@pytest.mark.parametrize("render", [printed, render_markdown, render_html])
def test_every_form_says_what_the_data_are(
    result: EvaluationResult, render: Callable[[EvaluationResult], str]
) -> None:
    text = " ".join(render(result).split())
    for part in ("Simulated data", "Sampled slates", "Made for a test.", "1,234 requests"):
        assert part in text
    logged = result.model_copy(update={"slate_source": "logged", "data_origin": "real"})
    text = " ".join(render(logged).split())
    assert "Sampled slates" not in text
    assert "Simulated" not in text


@pytest.mark.parametrize("render", [printed, render_markdown, render_html])
def test_every_form_says_what_a_slice_rests_on(
    result: EvaluationResult, render: Callable[[EvaluationResult], str]
) -> None:
    def told(found: EvaluationResult) -> str:
        return " ".join(html.unescape(render(found)).split())

    assert "87.5% of the candidates with text" in told(result)
    left_out = "left out: 1,200 without a positive, 27 with positives only"
    assert f"{NEW}: 7 requests of 7 users; {left_out}" in told(result)
    assert "Too narrow: 0.6% of the requests" in told(result)
    assert "Too wide:" not in told(result)
    wide = result.model_copy(
        update={"sizes": (size(ALL), size(NEW, judged=1200, says_nothing="too wide"))}
    )
    assert "Too wide: 97.2% of the requests" in told(wide)
    guests = result.model_copy(update={"n_guests": 3})
    assert f"{NEW}: 7 requests of 7 users or guests" in told(guests)


@pytest.mark.parametrize(
    ("render", "columns"), [(printed, 3), (render_markdown, 3), (render_html, 15)]
)
def test_every_form_says_what_the_rankers_are_made_of(
    result: EvaluationResult, render: Callable[[EvaluationResult], str], columns: int
) -> None:
    told = " ".join(render(result).split())
    assert "12, 1,034 trees" in told
    assert "50.0%" in told
    assert [f"column {place}" in told for place in range(20)].index(False) == columns


def test_markdown_has_a_table_for_each_slice(result: EvaluationResult) -> None:
    lines = render_markdown(result).splitlines()
    assert lines.count("|---|---|---|---|") == 2
    assert "| behaviour only | .300 [.200, .400] | .300 [.200, .400] | .300 [.200, .400] |" in lines
    assert f"- {sentence(result.differences[0])}" in lines


class _Page(HTMLParser):
    """Collects what a page would load, its headers' scopes and its ids."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in {"src", "href", "xlink:href", "data"} and not (value or "").startswith("#"):
                self.loaded.append(f"{tag} {value}")
            if name == "id":
                self.ids.append(value or "")


def test_the_page_stands_alone(result: EvaluationResult) -> None:
    drawn = render_html(result)
    page = _Page()
    page.feed(drawn)
    assert page.loaded == []
    assert "script" not in page.tags
    assert "@import" not in drawn
    assert "url(http" not in drawn
    assert len(page.ids) == len(set(page.ids))


def test_the_page_escapes_what_it_is_given(result: EvaluationResult) -> None:
    page = render_html(result)
    assert "items <new>" not in page
    assert "items &lt;new&gt; &amp; rare" in page


def test_every_plot_is_described_and_takes_the_pages_colours(result: EvaluationResult) -> None:
    page = render_html(result)
    plots = ["<svg" + part.split("</svg>")[0] + "</svg>" for part in page.split("<svg")[1:]]
    assert len(plots) == 3
    for plot in plots:
        root = ET.fromstring(plot)
        names = [child.tag.rsplit("}", 1)[-1] for child in root]
        assert names[:2] == ["title", "desc"]
        assert root.get("role") == "img"
        assert (root.get("aria-labelledby") or "").split() == [root[0].get("id"), root[1].get("id")]
        assert "var(--accent)" in plot
        assert "#0" not in plot.replace('"#', "").replace("(#", "")
    assert f"{TEXT_AND_BEHAVIOUR} .400" in plots[0]
    assert ".100 against .120" in plots[1]
    assert "0: +.030, 1-9: +.010" in plots[2]


def test_the_page_leaves_out_what_was_not_computed(result: EvaluationResult) -> None:
    bare = result.model_copy(
        update={
            "slate_source": "logged",
            "differences": (),
            "calibration": (),
            "gain_by_history": (),
            "values": (),
            "rankers": (),
        }
    )
    page = render_html(bare)
    assert "<svg" not in page
    assert "Calibration" not in page
    assert "What the comparisons show" not in page
    assert "made of" not in page
    assert printed(bare)


def test_the_page_says_why_sampled_slates_have_no_calibration(result: EvaluationResult) -> None:
    html = render_html(result.model_copy(update={"calibration": ()}))
    assert "No probability is told on sampled slates" in html
    assert "No probability is told" not in render_html(result)


def test_the_page_is_the_same_each_time(result: EvaluationResult, tmp_path: Path) -> None:
    save_html(result, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text() == render_html(result)


def test_showings_are_told_where_requests_stand_for_several(result: EvaluationResult) -> None:
    sizes = tuple(each.model_copy(update={"showings": 98765.4}) for each in result.sizes)
    weighted = result.model_copy(update={"showings": 123456.0, "sizes": sizes})
    for page in (render_markdown(weighted), render_html(weighted)):
        assert "1,234 requests (for 123,456 showings) of 99 users" in page
        assert "1,234 requests (for 98,765 showings) of 99 users" in page
        assert "means over showings" in page
    assert "showings" not in render_markdown(result)
    assert "showings" not in render_html(result)

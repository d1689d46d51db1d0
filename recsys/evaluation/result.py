"""The result of an evaluation as typed values, written and read as JSON."""

from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from data_contracts.errors import DataError
from data_contracts.storage import write_text
from recsys.metrics.calibration import CalibrationBin
from recsys.metrics.intervals import Estimate
from recsys.metrics.ranking import AUC, MRR, NDCG_AT_10

RESULT_VERSION = 3

ALL = "all"

RANDOM = "random"
POPULARITY = "popularity"
POPULARITY_RATE = "popularity per impression"
LOGGED_ORDER = "logged order"
SAMPLED_ORDER = "sampled order"
TEXT_ONLY = "text only"
BEHAVIOUR_ONLY = "behaviour only"
TEXT_AND_BEHAVIOUR = "text and behaviour"

HEADLINE = (NDCG_AT_10, MRR, AUC)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SliceValue(_Part):
    """How one model did by one metric on one slice of the requests."""

    slice: str = Field(description="Which requests, or which of their items, are looked at.")
    model: str = Field(description="Who ordered the candidates.")
    metric: str = Field(description="What was computed per request.")
    estimate: Estimate = Field(
        description="Mean over requests, by what they stand for; interval over users."
    )


class SliceSize(_Part):
    """What a slice holds of the test, and how much of that its values rest on."""

    slice: str = Field(description="Which requests, or which of their items, are looked at.")
    n_candidates: int = Field(ge=0, description="Candidates in the slice.")
    n_judged: int = Field(
        ge=0,
        description="Requests with a positive candidate and another in the slice: no other request "
        "has a value, by any metric.",
    )
    showings: float | None = Field(
        None, ge=0, description="How many they stand for; null where each stands for one."
    )
    n_users: int = Field(ge=0, description="Users they come from; each guest request is one.")
    n_without_positive: int = Field(
        ge=0, description="Requests left out: candidates in the slice, none of them positive."
    )
    n_only_positives: int = Field(
        ge=0, description="Requests left out: all candidates in the slice are positive."
    )
    share_of_requests: float = Field(
        ge=0, le=1, description="Of the requests that have a value on the whole test, by showings."
    )
    share_of_candidates: float = Field(
        ge=0, le=1, description="Of the candidates of the test, by showings."
    )
    says_nothing: Literal["too wide", "too narrow"] | None = Field(
        None,
        description="Too wide: it holds over 95% of the requests and of the candidates, so its "
        "values are those of the whole test. Too narrow: it holds under 1% of the requests.",
    )


class ColumnGain(_Part):
    """How much of a ranker's fit a column brought."""

    column: str = Field(description="Name of the column.")
    share: float = Field(description="Of the gain of all splits (LightGBM's `gain`).")


class RankerFacts(_Part):
    """What a ranker is made of."""

    model: str = Field(description="The model in the tables.")
    trees: tuple[int, ...] = Field(description="Number of trees, by bundle.")
    importances: tuple[ColumnGain, ...] = Field(
        description="Columns by falling share of the gain, the mean over bundles; all columns."
    )


class Difference(_Part):
    """How much better one model did than another, request by request."""

    slice: str = Field(description="Which requests, or which of their items, are looked at.")
    metric: str = Field(description="What was computed per request.")
    model: str = Field(description="The model.")
    baseline: str = Field(description="The model it is compared with.")
    estimate: Estimate = Field(description="Mean of model minus baseline.")

    @property
    def verdict(self) -> Literal["better", "worse", "no difference shown"]:
        """What the interval allows to say; a difference without an interval shows nothing."""
        if self.estimate.low > 0:
            return "better"
        return "worse" if self.estimate.high < 0 else "no difference shown"


class EvaluatedVersion(_Part):
    """The version of a bundle that was evaluated."""

    bundle: str = Field(description="Name of the bundle.")
    version: str = Field(description="Name of the version's folder.")
    fingerprint: str = Field(description="Hash of the content of its model and state.")

    def __str__(self) -> str:
        told = f"{self.bundle} {self.version}"
        renamed = not self.version.endswith(self.fingerprint)
        return f"{told} ({self.fingerprint})" if renamed else told


class EvaluationResult(_Part):
    """Everything an evaluation found, and about what."""

    format: Literal[3] = Field(3, description="Version of this form.")
    data_name: str = Field(description="Name of the data set.")
    data_origin: Literal["real", "simulated"] = Field(description="Who made the events.")
    slate_source: Literal["logged", "sampled"] = Field(description="Where slates come from.")
    note: str = Field("", description="What every report must say about the data.")
    bundle: str = Field(description="What was evaluated, in words.")
    versions: tuple[EvaluatedVersion, ...] = Field(
        (), description="The same for programs; none where models were trained for the evaluation."
    )
    command: str = Field(description="The command that makes this result again.")
    test_start: AwareDatetime = Field(description="First moment of the test period.")
    test_end: AwareDatetime = Field(description="First moment after the test period.")
    n_requests: int = Field(ge=0, description="Requests in the test period.")
    showings: float | None = Field(
        None, ge=0, description="How many they stand for; null where each stands for one."
    )
    n_users: int = Field(ge=0, description="Users they come from, without guests.")
    n_guests: int = Field(0, ge=0, description="Requests of guests among them.")
    share_with_text: float = Field(
        ge=0, le=1, description="Of the test's candidates that have a text vector, by showings."
    )
    n_versions: int = Field(
        0, ge=0, description="Versions of items that were ranked, each as of its requests."
    )
    share_unknown: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Of the test's candidates that nobody had a record of then, by showings.",
    )
    unseen_values: int = Field(
        0,
        ge=0,
        description="Values of attributes in the test that a bundle has not seen in training; they "
        "count as missing. Of the bundle that has seen the fewest.",
    )
    level: float = Field(0.95, gt=0, lt=1, description="Level of all intervals.")
    sizes: tuple[SliceSize, ...] = Field(description="What each slice holds, in the same order.")
    values: tuple[SliceValue, ...] = Field(description="In the order they are to be shown.")
    differences: tuple[Difference, ...] = Field((), description="Paired comparisons.")
    calibration: tuple[CalibrationBin, ...] = Field(
        (),
        description="Predicted probabilities against outcomes, by rising prediction; none on "
        "sampled slates, for which no probability is told.",
    )
    log_loss: float | None = Field(
        None,
        description="Mean negative log-likelihood of the predicted probabilities, in nats; null on "
        "sampled slates.",
    )
    gain_by_history: tuple[Difference, ...] = Field(
        (), description="One comparison on slices by length of the user's history, rising."
    )
    rankers: tuple[RankerFacts, ...] = Field((), description="What the rankers are made of.")

    @property
    def slices(self) -> list[str]:
        """Slices in the order they were given."""
        return list(dict.fromkeys(each.slice for each in self.values))

    @property
    def models(self) -> list[str]:
        """Models in the order they were given."""
        return list(dict.fromkeys(each.model for each in self.values))

    @property
    def metrics(self) -> list[str]:
        """Metrics: those of the headline first, then the others in the order they were given."""
        found = dict.fromkeys(each.metric for each in self.values)
        return [*(m for m in HEADLINE if m in found), *(m for m in found if m not in HEADLINE)]

    @property
    def headline(self) -> list[Difference]:
        """Differences of the headline metrics."""
        return [each for each in self.differences if each.metric in HEADLINE]

    def estimate(self, slice_name: str, model: str, metric: str) -> Estimate | None:
        """Give one estimate, None when it was not computed."""
        wanted = (slice_name, model, metric)
        found = (v.estimate for v in self.values if (v.slice, v.model, v.metric) == wanted)
        return next(found, None)

    def size(self, slice_name: str) -> SliceSize | None:
        """Give what a slice holds, None when that was not counted."""
        return next((each for each in self.sizes if each.slice == slice_name), None)


def save_result(result: EvaluationResult, path: Path) -> None:
    """Write the result as JSON, whole or not at all; what is not a number becomes null."""
    write_text(path, result.model_dump_json(indent=2) + "\n")


def read_result(path: Path) -> EvaluationResult:
    """Read a result that `save_result` wrote.

    Args:
        path: The JSON file.

    Returns:
        The result.

    Raises:
        DataError: The file is missing, or is no result of this version.
    """
    try:
        return EvaluationResult.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(
            f"{path}: {str(error).splitlines()[0]}",
            f"an evaluation result of format {RESULT_VERSION}",
            "evaluate again with `recsys evaluate`",
        ) from error

"""Feature sets of a workspace: the ranker's columns, and those that evaluation reads as well.

Evaluation cuts the test into slices and orders candidates by popularity. The columns it takes for
that are always computed and written with the rows; the ranker reads only the chosen ones.
"""

from dataclasses import dataclass

from features.counter_spec import EVER, ITEM, USER
from features.defaults import choose_features
from features.feature_set import FeatureSet
from features.kinds.base import Feature
from features.kinds.counts import FirstSeen, Rate, WindowCount
from features.log.events import IMPRESSION, SESSION
from recsys.workspace.config import WorkspaceConfig


def interaction_kinds(config: WorkspaceConfig) -> list[str]:
    """List the kinds of interaction: those that only profiles read, then by grade."""
    return [*config.features.profile_kinds, *config.labels.kinds]


def features_of(config: WorkspaceConfig) -> FeatureSet:
    """Give the features that the ranker of a configuration reads."""
    logged = config.slate_source == "logged"
    return choose_features(config.features, config.labels.kinds, logged=logged)


def row_features(config: WorkspaceConfig) -> FeatureSet:
    """Give the features that a backfill computes: the ranker's, and those of evaluation."""
    return features_of(config).with_more(EvaluationColumns.of(config).features)


@dataclass(frozen=True)
class EvaluationColumns:
    """What evaluation reads by name, whatever the ranker reads.

    Attributes:
        popularity: Weakest interactions of an item in 30 days.
        popularity_rate: The same per impression; None where slates were sampled.
        taken: How often the user took the item.
        first_seen: Days since the item was first taken.
        visits: Visits of the user.
    """

    popularity: Feature
    popularity_rate: Feature | None
    taken: Feature
    first_seen: Feature
    visits: Feature

    @classmethod
    def of(cls, config: WorkspaceConfig) -> "EvaluationColumns":
        """Give the columns for a configuration's kinds of interaction."""
        kinds = config.labels.kinds
        weak, strong = kinds[0], kinds[-1]
        rate = Rate((ITEM,), weak, IMPRESSION, 30, config.features.smoothing)
        return cls(
            WindowCount((ITEM,), weak, 30),
            rate if config.slate_source == "logged" else None,
            WindowCount((USER, ITEM), strong, EVER),
            FirstSeen((ITEM,), strong),
            WindowCount((USER,), SESSION, EVER),
        )

    @property
    def features(self) -> tuple[Feature, ...]:
        """All of them."""
        rate = () if self.popularity_rate is None else (self.popularity_rate,)
        return (self.popularity, *rate, self.taken, self.first_seen, self.visits)

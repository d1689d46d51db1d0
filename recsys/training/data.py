"""`TrainingData`: a workspace with its log and its texts, each opened once."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from data_contracts.progress import Track, silent
from features.log.log import Log
from recsys.labels.split import Period
from recsys.text.encoder.bert import TextEncoder
from recsys.text.head import InterestModel, table_of
from recsys.text.signals import TextSignals
from recsys.training.rows import RankingRows, ranking_rows
from recsys.training.slates import Requests, read_slates
from recsys.training.texts import Texts, encode_texts, texts_of
from recsys.workspace.backfill import open_workspace_log, run_backfill
from recsys.workspace.config import WorkspaceConfig
from recsys.workspace.fitness import TRAINING, require_fit
from recsys.workspace.workspace import Workspace


@dataclass(frozen=True)
class TrainingData:
    """A workspace opened for training and evaluation: what they pass on, instead of its parts.

    Attributes:
        workspace: Tables, settings and folders.
        log: The events by day, with the catalogue and the users.
        texts: Item texts and queries with the vectors of an encoder.
    """

    workspace: Workspace
    log: Log
    texts: Texts

    @classmethod
    def open(
        cls, workspace: Workspace, track: Track = silent, parts: Collection[str] = TRAINING
    ) -> "TrainingData":
        """Check the tables, open the log and encode the texts; what is cached of these is used.

        Args:
            workspace: The workspace.
            track: Shows progress.
            parts: The parts of the split that have to hold what they are for.

        Returns:
            The data.

        Raises:
            DataError: `recsys validate` finds errors in the tables or in those parts.
        """
        require_fit(workspace, parts, track)
        log = open_workspace_log(workspace)
        return cls(workspace, log, encode_texts(workspace, log.catalogue, track))

    @property
    def config(self) -> WorkspaceConfig:
        """Settings of the workspace."""
        return self.workspace.config

    def compute_features(self, track: Track = silent) -> None:
        """Bring the feature rows up to date; `rows` reads them."""
        run_backfill(self.workspace, self.log, track=track)

    def encoded_by(self, encoder: TextEncoder, track: Track = silent) -> "TrainingData":
        """Exchange the vectors for those of another encoder, such as a fine-tuned one."""
        return replace(self, texts=texts_of(self.workspace, self.texts, encoder, track))

    def signals(self, model: InterestModel) -> TextSignals:
        """Bring the texts into the space of a trained head, where requests are answered."""
        table = table_of(model, self.texts.vectors.items)
        return TextSignals.of(table, self.texts.keys, self.config.text.history)

    def signals_of(self, trained: TextSignals) -> TextSignals:
        """Give the signals of a text model that was trained on a catalogue like this one.

        Args:
            trained: Of that model; texts that its table does not have are added to it.

        Returns:
            The signals for this catalogue.
        """
        keys = self.texts.keys
        signals = trained.of_catalogue({key: code for code, key in enumerate(keys)})
        signals.learn(dict(zip(keys, self.texts.vectors.items, strict=True)))
        return signals

    def slates(self, period: Period, history: int) -> Requests:
        """Read the requests of a period with their grades and their users' histories.

        Args:
            period: The period.
            history: Interactions per user to look back at.

        Returns:
            The requests, in order of time.

        Raises:
            DataError: The period has no request.
        """
        return read_slates(self.workspace, self.log, self.texts.queries, period, history)

    def rows(
        self, signals: TextSignals, trained_until: int, period: Period, track: Track = silent
    ) -> RankingRows:
        """Join slates, features and interest match of a period.

        Args:
            signals: The catalogue in the text model's space.
            trained_until: Last moment that decided a label of the text model, UTC microseconds.
            period: The period, all of it after that moment.
            track: Shows progress.

        Returns:
            The rows, features and text columns aligned with the slates.

        Raises:
            LeakError: The text model was trained on labels of the period.
            DataError: The period has no request, or the computed features are not those of its
                impressions.
        """
        requests = self.slates(period, signals.newest)
        vectors = self.texts.vectors.queries
        return ranking_rows(self.workspace, requests, signals, vectors, trained_until, track)

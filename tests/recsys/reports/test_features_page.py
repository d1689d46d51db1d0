"""docs/features.md says what the code does."""

from pathlib import Path

from features.defaults import default_features
from features.kinds.columns import kinds, parameters
from features.settings import FeatureSettings
from recsys.labels.grades import LabelSettings
from recsys.reports.features import list_markdown

PAGE = Path("docs/features.md")


def kinds_markdown() -> str:
    lines = [
        f"| `{word}` | {', '.join(f'`{name}`' for name in parameters(kind)) or 'none'} | "
        f"{(kind.__doc__ or '').splitlines()[0].rstrip('.')} |"
        for word, kind in kinds().items()
    ]
    return "\n".join(lines) + "\n"


def test_the_page_has_the_default_set_and_every_kind() -> None:
    page = PAGE.read_text(encoding="utf-8")
    default = default_features(FeatureSettings(), list(LabelSettings().grades), logged=True)
    for made in (kinds_markdown(), list_markdown(default)):
        assert made in page, f"put this into {PAGE} in place of what is there:\n{made}"

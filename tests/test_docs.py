"""Pages name only what is there: links with their anchors, files, and modules of benchmarks."""

import re
from pathlib import Path

import pytest

from tests.test_imports import PACKAGES, ROOT

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("docs/**/*.md")]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)")
FILE = re.compile(rf"`((?:{'|'.join(PACKAGES)}|tests|benchmarks|docs)/[\w/-]+\.(?:py|md|txt))")
MODULE = re.compile(r"\bbenchmarks(?:\.[a-z_]+)+")


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_names_only_what_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [(page.parent / link if link else page, anchor) for link, anchor in LINK.findall(text)]
    named = [*FILE.findall(text), *(f"{m.replace('.', '/')}.py" for m in MODULE.findall(text))]
    paths = [*(path for path, _ in links), *(ROOT / name for name in named)]
    assert [str(path) for path in paths if not path.exists()] == []
    assert [each for each in links if each[1] and each[1] not in anchors(each[0])] == []

"""Versions of a bundle: written whole, never changed; the alias moves in one step."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest

from data_contracts import storage
from data_contracts.errors import BundleError
from recsys.bundle.bundle import ENCODER, FULL, NO_TEXT, QUERIES, TEXT_RECORD, Bundle, load_bundle
from recsys.bundle.manifest import MANIFEST
from recsys.bundle.versions import ALIAS, MODEL, VERSIONS, open_version, version_name
from recsys.bundle.write import BundleParts, write_bundle
from recsys.text.encoder.bert import TextEncoder
from recsys.text.training.model import TextRecord
from recsys.workspace.workspace import Workspace
from tests.worlds import InterruptionError, copy_folder, listing, tamper


@dataclass(frozen=True)
class Home:
    """A copy of a bundle with its alias, and what it takes to write another version of it.

    Attributes:
        folder: The bundle.
        first: Its only version at the beginning.
        parts: The parts of that version.
    """

    folder: Path
    first: Bundle
    parts: BundleParts

    def write(self, note: str | None = None, **spoilt: object) -> Path:
        """Write a version, of the same content unless there is a note."""
        parts = self.parts
        if note is not None:
            parts = replace(parts, config=parts.config.model_copy(update={"note": note}))
        manifest = self.first.manifest.model_copy(update=spoilt)
        return write_bundle(self.folder, parts, manifest, self.first.version.state_manifest)

    @property
    def versions(self) -> list[Path]:
        """The folders of the versions, hidden ones too."""
        return sorted((self.folder / VERSIONS).iterdir())


@pytest.fixture
def home(tiny_bundle_folder: Path, tmp_path: Path) -> Home:
    folder = copy_folder(tiny_bundle_folder, tmp_path / "bundles" / "current")
    bundle = load_bundle(folder)
    model, state = bundle.version.model, tmp_path / "state"
    queries = pl.read_parquet(bundle.version.state / QUERIES)
    ignored = shutil.ignore_patterns(MANIFEST, QUERIES)
    shutil.copytree(bundle.version.state, state, ignore=ignored)
    encoder = TextEncoder.load(model / ENCODER, max_tokens=bundle.config.text.max_tokens)
    record = TextRecord.model_validate_json((model / TEXT_RECORD).read_bytes())
    scorers = {FULL: bundle.full, NO_TEXT: bundle.no_text}
    parts = BundleParts(
        bundle.config,
        encoder,
        encoder,
        record,
        bundle.signals,
        bundle.learned,
        queries,
        scorers,
        state,
    )
    return Home(folder, bundle, parts)


def content(folder: Path) -> Mapping[str, object]:
    """Give every file below a folder with its bytes and when it changed."""
    return {
        name: (changed, (folder / name).read_bytes() if changed else b"")
        for name, changed in listing(folder).items()
    }


def test_a_version_is_written_beside_the_first_which_stays_as_it_was(home: Home) -> None:
    before = content(home.first.folder)
    second = home.write("another")
    assert home.versions == sorted([home.first.folder, second])
    assert content(home.first.folder) == before
    assert load_bundle(home.folder).folder == second
    assert load_bundle(home.first.folder).fingerprint == home.first.fingerprint
    assert load_bundle(second).fingerprint == second.name[-16:] != home.first.fingerprint
    assert [path.name for path in home.folder.parent.iterdir()] == [home.folder.name]


def test_the_same_content_twice_is_one_version(home: Home) -> None:
    second = home.write("another")
    before = content(home.folder / VERSIONS)
    assert home.write() == home.first.folder
    assert content(home.folder / VERSIONS) == before
    assert open_version(home.folder).folder == home.first.folder
    assert home.write("another") == second
    assert open_version(home.folder).folder == second
    assert content(home.folder / VERSIONS) == before


def test_a_version_that_was_damaged_is_written_anew_under_another_name(home: Home) -> None:
    tamper(home.first.version.model / f"{FULL}.txt", lambda text: text[:-1])
    later = home.first.manifest.created_at.replace(year=2100)
    second = home.write(created_at=later)
    assert second.name == version_name(later, home.first.fingerprint)
    assert load_bundle(home.folder).folder == second


def test_names_of_versions_sort_by_time_and_tell_the_content(home: Home) -> None:
    made = home.first.manifest.created_at
    assert home.first.version.name == version_name(made, home.first.fingerprint)
    names = [version_name(made.replace(year=year), "f" * 16) for year in (2027, 2030, 2026)]
    assert sorted(names) == [names[2], *names[:2]]


@pytest.mark.parametrize("spoilt", [{"metrics": {FULL: float("nan")}}, {"schema_hash": "another"}])
def test_what_cannot_be_loaded_is_not_meant_and_leaves_nothing(
    home: Home, spoilt: dict[str, object]
) -> None:
    before = content(home.folder.parent)
    with pytest.raises(BundleError):
        home.write("another", **spoilt)
    assert content(home.folder.parent) == before


def test_a_failure_between_a_version_and_its_alias_leaves_the_old_one_in_force(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_file = Path.replace

    def fail_at_the_alias(path: Path, target: Path) -> Path:
        if target.name == ALIAS:
            raise InterruptionError
        return replace_file(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fail_at_the_alias)
        with pytest.raises(InterruptionError):
            home.write("another")
    assert len(home.versions) == 2
    assert load_bundle(home.folder).folder == home.first.folder
    assert sorted(path.name for path in home.folder.iterdir()) == [ALIAS, VERSIONS]
    (second,) = set(home.versions) - {home.first.folder}
    assert home.write("another") == second
    assert load_bundle(home.folder).folder == second


def test_the_version_is_on_disk_before_the_alias_and_the_alias_before_it_is_told(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[tuple[str, Path]] = []
    monkeypatch.setattr(
        storage,
        "_flush",
        lambda path: flushed.append((open_version(home.folder).name, path)),
    )
    second = home.write("another")
    *before, (old, part), (new, folder) = flushed
    assert {meant for meant, _ in before} == {home.first.version.name}
    assert (home.first.version.name, home.folder / VERSIONS) in before
    assert (old, part.name.startswith(f".{ALIAS}.")) == (home.first.version.name, True)
    assert (new, folder) == (second.name, home.folder)


def test_a_bundle_and_its_version_are_the_same(home: Home) -> None:
    assert open_version(home.folder) == open_version(home.first.folder)


def require_refusal(path: Path, *named: str) -> None:
    with pytest.raises(BundleError) as refusal:
        load_bundle(path)
    assert refusal.value.expected
    assert refusal.value.action
    for word in named:
        assert word in str(refusal.value)


@pytest.mark.parametrize(
    "alias",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"format": 2, "version": "2026-11-28T140512-0123456789abcdef"}',
        b'{"format": 1}',
        b'{"format": 1, "version": "../../other"}',
        b'{"format": 1, "version": "2026-11-28T140512-0123456789abcdef\\n"}',
    ],
)
def test_a_damaged_alias_is_named(home: Home, alias: bytes) -> None:
    (home.folder / ALIAS).write_bytes(alias)
    require_refusal(home.folder, str(home.folder / ALIAS), "train the bundle again")


def test_an_alias_of_a_version_that_is_not_there_is_named(home: Home) -> None:
    shutil.rmtree(home.first.folder)
    require_refusal(home.folder, home.first.version.name, "copy the bundle with its versions")


def test_a_path_without_alias_or_model_is_no_bundle(home: Home, tmp_path: Path) -> None:
    (home.folder / ALIAS).unlink()
    for path in (home.folder, tmp_path / "nowhere", Path(__file__)):
        require_refusal(path, f"neither {ALIAS} nor {MODEL}/", str(path), "train the bundle")


def test_a_bundle_of_the_layout_before_is_refused_until_it_is_trained_again(home: Home) -> None:
    old = home.folder.with_name("old")
    shutil.copytree(home.first.version.model, old)
    (old / MANIFEST).write_text(json.dumps({"format": 4}), encoding="utf-8")
    require_refusal(old, "earlier format", "train the bundle with this version of recsys")
    load_bundle(replace(home, folder=old).write())
    assert load_bundle(old).fingerprint == home.first.fingerprint


def test_a_version_of_another_content_than_its_name_tells_is_refused(home: Home) -> None:
    folder, another = home.first.folder, b'"log_offset": 7'
    path = home.first.version.state / MANIFEST
    tamper(path, lambda text: text.replace(b'"log_offset": null', another))
    assert another in path.read_bytes()
    require_refusal(folder, "fingerprint", home.first.fingerprint, "copy the bundle again")


def test_a_model_holds_no_user_and_no_query(
    tiny_bundle: Bundle, trained_workspace: Workspace
) -> None:
    told = trained_workspace.scan("impressions").select("user_id", "query").collect()
    users = told["user_id"].drop_nulls().unique().to_list()
    # A query of one word is a word of the encoder's vocabulary too.
    queries = [query for query in told["query"].drop_nulls().unique() if " " in query]
    assert len(users) > 10
    assert len(queries) > 10
    secrets = [each.encode() for each in (*users, *queries)]
    state = b"".join(path.read_bytes() for path in tiny_bundle.version.state.rglob("*.*"))
    assert any(each in state for each in secrets)
    for path in tiny_bundle.version.model.rglob("*.*"):
        held = path.read_bytes()
        assert [each for each in secrets if each in held] == [], path

"""The layout: rooms of a size one can survey, each with a door, and imports that go one way."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.test_imports import PACKAGES, ROOT

MOST_ROOMS = 13
"""Modules and folders in one folder, its door not counted."""
FOLDERS = [
    folder
    for package in PACKAGES
    for folder in (ROOT / package, *(ROOT / package).rglob("*"))
    if folder.is_dir() and any(folder.glob("*.py"))
]
ORDER = {
    "data_contracts": (),
    "features": (
        "arrays", "counter_spec", "log", "snapshots", "reader", "kinds", "feature_set", "settings",
        "batch", "backfill", "online", "checks", "defaults",
    ),
    "recsys": (
        "metrics", "labels", "text", "ranker", "workspace", "bundle", "datasets", "training",
        "rank", "explain", "evaluation", "reports", "commands",
    ),
    "serving": (
        "settings", "telemetry", "wire", "ranking", "client", "text_encoder", "api", "app",
        "runtime", "commands",
    ),
}  # fmt: skip
"""The rooms of each package from the ground up: a room imports only those before it."""


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def rooms(folder: Path) -> set[str]:
    """Names of the modules and of the folders with modules in a folder."""
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    return modules | {path.name for path in folder.iterdir() if path in FOLDERS}


def imported(path: Path) -> Iterator[str]:
    """Give every module of the project that a module imports, `package.module.name` included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def uses(folder: Path) -> dict[str, set[str]]:
    """Give, for each room of a folder, the other rooms of it that are imported there."""
    prefix = ".".join(folder.relative_to(ROOT).parts) + "."
    found: dict[str, set[str]] = {room: set() for room in rooms(folder)}
    for path in folder.rglob("*.py"):
        room = path.relative_to(folder).with_suffix("").parts[0]
        for name in imported(path):
            if name.startswith(prefix) and room in found:
                found[room].add(name.removeprefix(prefix).partition(".")[0])
    return {room: (others & found.keys()) - {room} for room, others in found.items()}


def door(folder: Path) -> ast.Module:
    return ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))


def open_names(folder: Path) -> list[str]:
    """Give what the door of a folder names in `__all__`."""
    for node in door(folder).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return []


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_a_folder_can_be_surveyed_and_has_a_door(folder: Path) -> None:
    assert len(rooms(folder)) <= MOST_ROOMS
    said = ast.get_docstring(door(folder))
    assert said, "the door says in one sentence what lives in the folder"
    assert said.endswith(".")
    assert set(open_names(folder)) <= rooms(folder)
    assert open_names(folder) == sorted(open_names(folder))


def closed(name: str, path: Path) -> Iterator[str]:
    """Give the rooms on the way to a module that their folder's door keeps to the folder."""
    parts = name.split(".")
    for depth in range(1, len(parts)):
        folder, room = ROOT.joinpath(*parts[:depth]), parts[depth]
        inside = folder in path.parents or folder not in FOLDERS
        if not inside and room in rooms(folder) - set(open_names(folder)):
            yield ".".join(parts[: depth + 1])


def test_rooms_are_entered_by_their_door() -> None:
    """What a folder does not name in `__all__` is imported in that folder only."""
    found = {
        f"{name_of(path)} imports {room}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for name in imported(path)
        for room in closed(name, path)
    }
    assert found == set()


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_imports_inside_a_folder_go_one_way(folder: Path) -> None:
    try:
        tuple(TopologicalSorter(uses(folder)).static_order())
    except CycleError as error:
        pytest.fail(f"{name_of(folder)}: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("package", [package for package in PACKAGES if ORDER[package]])
def test_the_rooms_of_a_package_keep_their_order(package: str) -> None:
    order = ORDER[package]
    assert rooms(ROOT / package) == set(order)
    for room, others in uses(ROOT / package).items():
        assert others <= set(order[: order.index(room)]), room


@pytest.mark.parametrize("package", PACKAGES)
def test_no_public_class_name_is_defined_twice(package: str) -> None:
    where = defaultdict(list)
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where[node.name].append(name_of(path))
    assert {name: paths for name, paths in where.items() if len(paths) > 1} == {}


def test_tests_lie_where_their_modules_do() -> None:
    """A test folder is named as a folder of the product; each holds tests of what lies there."""
    for package in PACKAGES:
        for folder in (ROOT / "tests" / package).rglob("*"):
            if folder.is_dir() and any(folder.glob("test_*.py")):
                assert (ROOT / folder.relative_to(ROOT / "tests")) in FOLDERS, name_of(folder)


def test_the_tree_is_documented() -> None:
    """docs/architecture.md shows every folder of the packages."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert [name_of(folder) for folder in FOLDERS if f"{folder.name}/" not in page] == []

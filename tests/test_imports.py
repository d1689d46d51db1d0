import ast
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Each package may import itself and those before it.
PACKAGES = ("data_contracts", "features", "recsys", "serving")
# What takes long to import: commands load it when they run.
HEAVY = {
    "lightgbm",
    "matplotlib",
    "numba",
    "polars",
    "pyarrow",
    "ray",
    "scipy",
    "torch",
    "transformers",
}

IMPORT_ALL = """
import importlib, json, pathlib, sys, threading
import psutil

for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
ray = sys.modules.get("ray")
native = [path.read_text() for path in pathlib.Path("/proc/self/task").glob("*/comm")]
print(json.dumps({
    "queries": [name for name in native if name.startswith("polars-0")],
    "threads": [t.name for t in threading.enumerate() if t is not threading.main_thread()],
    "processes": [child.name() for child in psutil.Process().children(recursive=True)],
    "ray": bool(ray and ray.is_initialized()),
}))
"""

HELP = """
import json, sys
from serving.commands.cli import main

sys.argv = ["recsys", "--help"]
try:
    main()
finally:
    packages = {name.partition(".")[0] for name in sys.modules}
    print(json.dumps(sorted(packages)), file=sys.stderr)
"""


def modules(package: str) -> list[str]:
    """Names of a package's modules, the package itself included."""
    paths = [path.relative_to(ROOT) for path in sorted((ROOT / package).rglob("*.py"))]
    return [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths]


def imports(source: str, package: str) -> Iterator[str]:
    """Absolute names of all that a module of `package` imports, in functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield importlib.util.resolve_name("." * node.level + (node.module or ""), package)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (str(a.value) for a in node.args[:1] if isinstance(a, ast.Constant))


def forbidden(source: str, package: str) -> set[str]:
    """Top-level packages of this project that a module of `package` must not import."""
    allowed = PACKAGES[: PACKAGES.index(package) + 1]
    own = {*PACKAGES, "tests", "benchmarks"}
    return {name.partition(".")[0] for name in imports(source, package)} & own - set(allowed)


@pytest.mark.parametrize(
    ("source", "package", "found"),
    [
        ("import serving.app", "recsys", {"serving"}),
        ("from recsys.workspace.config import WorkspaceConfig", "features", {"recsys"}),
        ("def load():\n    from features import log", "data_contracts", {"features"}),
        ("import importlib\nimportlib.import_module('tests.x')", "serving", {"tests"}),
        ("from . import config\nfrom features.log import requests", "recsys", set()),
        ("import data_contracts.items, numpy, recsystems", "features", set()),
    ],
)
def test_the_reading_of_imports_finds_what_is_there(
    source: str, package: str, found: set[str]
) -> None:
    assert forbidden(source, package) == found


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    found = {
        str(path.relative_to(ROOT)): names
        for path in files
        if (names := forbidden(path.read_text(encoding="utf-8"), package))
    }
    assert found == {}


def test_importing_any_module_starts_nothing_and_writes_nothing(tmp_path: Path) -> None:
    names = [name for package in PACKAGES for name in modules(package)]
    done = run_python(tmp_path, IMPORT_ALL, json.dumps(names))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "queries": [],
        "threads": [],
        "processes": [],
        "ray": False,
    }
    assert list(tmp_path.rglob("*")) == []


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    done = run_python(tmp_path, HELP)
    assert done.returncode == 0, done.stderr
    assert "--help" in done.stdout
    loaded = set(json.loads(done.stderr.splitlines()[-1]))
    assert "serving" in loaded
    assert loaded & HEAVY == set()


def run_python(folder: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script whose working, home and temporary folders are all an empty one."""
    variables = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    return subprocess.run(
        [sys.executable, "-B", "-c", script, *arguments],
        cwd=folder,
        env={
            **os.environ,
            **dict.fromkeys(variables, str(folder)),
            # The list of fonts that matplotlib keeps for itself on first import.
            "MPLCONFIGDIR": str(folder.parent / "matplotlib"),
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        check=False,
    )

"""House rules that no linter knows, each shown to be able to fail."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONGEST = 400


def too_long(folder: Path) -> list[str]:
    """Files that can no longer be read in one sitting."""
    return [str(file) for file in sorted(folder.rglob("*.py")) if len(file.read_text().splitlines()) > LONGEST]


def behind_the_face(file: Path) -> list[str]:
    """What a file imports of a module other than its public face, `module.py`, and its published events."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return [name for name in names if re.match(r"modules\.(?!\w+\.(module|events)\b)", name)]


def imports(file: Path) -> Iterator[str]:
    """The packages that a file imports from."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def undeclared(folder: Path, dependencies: list[str]) -> list[str]:
    """What the sources import that isn't theirs, and that an installation doesn't bring for certain."""
    files = list(folder.rglob("*.py"))
    names = {name for file in files for name in imports(file)}
    foreign = names - sys.stdlib_module_names - {file.stem for file in folder.iterdir()}
    declared = {plain(re.split(r"[^\w.-]", dependency)[0]) for dependency in dependencies}
    brought_by = packages_distributions()
    return sorted(name for name in foreign if not declared & {plain(one) for one in brought_by.get(name, [])})


def plain(distribution: str) -> str:
    """The one way to write a distribution's name."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def unpinned(requirements: str) -> list[str]:
    """Lines that would let an installation differ from the one that was tested."""
    entries = requirements.replace("\\\n", " ").splitlines()
    return [line for line in entries if line and not re.match(r"\s*#|\S+==\S+ .*--hash=sha256:", line)]


def test_every_file_can_be_read_in_one_sitting() -> None:
    assert [name for folder in ("src", "tests", "benchmarks") for name in too_long(ROOT / folder)] == []


def test_a_file_that_has_outgrown_it_is_caught(tmp_path: Path) -> None:
    (tmp_path / "fits.py").write_text("\n" * LONGEST)
    (tmp_path / "outgrown.py").write_text("\n" * (LONGEST + 1))
    assert too_long(tmp_path) == [str(tmp_path / "outgrown.py")]


def test_the_composition_root_and_the_entry_points_see_only_the_faces_of_modules() -> None:
    entry_points = sorted((ROOT / "src").glob("*.py")) + sorted((ROOT / "src/demo").glob("*.py"))
    assert {"app.py", "cli.py", "play.py"} <= {file.name for file in entry_points}
    assert [name for file in entry_points for name in behind_the_face(file)] == []


def test_a_look_behind_the_face_is_caught(tmp_path: Path) -> None:
    file = tmp_path / "app.py"
    file.write_text(
        "import modules.identity.module\n"
        "from modules.audit.module import routes\n"
        "from modules.messaging import events, module, store\n"
        "import modules.identity.models\n"
    )
    assert behind_the_face(file) == ["modules.identity.models", "modules.messaging.store"]


def test_all_that_the_sources_import_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert undeclared(ROOT / "src", project["dependencies"]) == []


def test_an_undeclared_dependency_is_caught(tmp_path: Path) -> None:
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel/breach.py").write_text(
        "import ast\nimport httpx\nfrom jwt.algorithms import Algorithm\nimport kernel.x\nfrom uuid_utils import v\n"
    )
    assert undeclared(tmp_path, ["uuid_utils>=1", "pyjwt[crypto]>=2"]) == ["httpx"]


def test_every_requirement_is_pinned_by_hash_and_names_no_address() -> None:
    for file in (ROOT / "requirements").glob("*.txt"):
        assert unpinned(file.read_text()) == [], file.name


def test_a_loose_requirement_is_caught() -> None:
    loose = ["litestar>=2", "--index-url https://example.org/simple", "msgspec==0.20.0"]
    kept = "anyio==4.0 ; python_version < '4' \\\n    --hash=sha256:0\n    # via litestar"
    assert unpinned("\n".join([kept, *loose])) == loose

"""The rooms of the package: imports run one way, and each module has a name of its own."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "mmseg_heritage"
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
# From the ground up: a room imports from itself and from rooms before it.
ROOMS = (
    ("errors", "version", "taxonomy", "__init__"),
    ("hierarchy", "utils"),
    ("images", "compat"),
    ("exchange",),
    ("scores",),
    ("dataprep", "sample_set"),
    ("datasets", "models", "evaluation"),
    ("quantities",),
    ("registration",),
    ("visualization",),
    ("engine",),
    ("inference",),
    ("domains",),
    ("plugin",),
    ("runs", "doctor", "review"),
    ("apis",),
    ("cli",),
    ("__main__",),
)
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}


def room_of(module: str) -> str:
    """Returns the room of a dotted name below the package; the package itself is '__init__'."""
    return module.split(".")[0] if module else "__init__"


def imported(path: Path) -> set[str]:
    """Returns what a module imports from the package, as dotted names below it."""
    found = set()
    for node in ast.walk(ast.parse((PACKAGE / path).read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
            if node.module == "mmseg_heritage":  # from mmseg_heritage import utils
                names = [f"mmseg_heritage.{a.name}" for a in node.names if a.name in FLOOR]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {n.partition(".")[2] for n in names if n.split(".")[0] == "mmseg_heritage"}
    return found


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_run_one_way(path):
    own = room_of(".".join(path.with_suffix("").parts))
    if own == "__init__":
        return  # its names are lazy
    for module in imported(path):
        other = room_of(module)
        assert other == own or FLOOR[other] <= FLOOR[own], f"{path} imports {module}"
        if other != own and FLOOR[other] == FLOOR[own]:
            assert (own, other) in NEIGHBORS, f"{path} imports {module}"


# Rooms of one floor that know each other, and why.
NEIGHBORS = {
    ("taxonomy", "errors"),  # bad class lists are bad input
    ("hierarchy", "utils"),
}


TORCH_FREE = (
    "images",
    "dataprep",
    "sample_set",
    "quantities",
    "registration",
    "exchange",
    "review",
    "taxonomy.py",
    "hierarchy.py",
)


def test_rooms_without_torch_import_none():
    heavy = {"torch", "mmengine", "mmseg", "mmcv", "timm"}
    for path in MODULES:
        if path.parts[0] in TORCH_FREE:
            tree = ast.parse((PACKAGE / path).read_text(encoding="utf-8"))
            names = {
                name.split(".")[0]
                for node in ast.walk(tree)
                for name in (
                    [alias.name for alias in node.names]
                    if isinstance(node, ast.Import)
                    else [node.module or ""]
                    if isinstance(node, ast.ImportFrom)
                    else []
                )
            }
            assert not names & heavy, path


def test_no_two_modules_have_one_name():
    """A command has its name in apis/ and cli/; every other name is of one module."""
    places = defaultdict(list)
    for path in MODULES:
        if path.name not in ("__init__.py", "__main__.py") and path.parts[0] != "cli":
            places[path.stem].append(str(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_rooms_stay_small():
    """More than about a dozen modules in a folder want rooms; a command is one module of cli."""
    counts = defaultdict(int)
    for path in MODULES:
        counts[str(path.parent)] += path.name != "__init__.py"
    assert {name: n for name, n in counts.items() if n > 20 and name != "cli"} == {}

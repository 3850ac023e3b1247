"""What a command runs: on small packages that stand for ours, and on ours beside an import graph that others drew."""

import textwrap
from pathlib import Path

import grimp
import pytest

from ctmar.cli.app import app
from ctmar.store.closure import SILENT, Closure
from ctmar.store.code_digest import SOURCE, digest_of

COMMANDS = [str(command.callback.__name__).replace("_", "-") for command in app.registered_commands if command.callback]

FILES = {
    "ctmar/__init__.py": "",
    "ctmar/cli/__init__.py": "from ctmar.cli.main import app\n",
    "ctmar/cli/main.py": "import ctmar.cli.steps\napp = 1\n",
    "ctmar/cli/steps.py": """
        from ctmar.cli.progress import show

        LIMIT = 3

        def first(cost: Annotated[int, Option(min=0, help="How much.")] = 0):
            '''Do the first step.'''
            from ctmar.work.early import begin
            return _checked(begin(cost), LIMIT)

        def _checked(value, limit):
            return value

        def cost():
            from ctmar.work.late import end
            return end()

        def chosen(name):
            from ctmar.work.choice import choose
            return choose(name)

        COMMANDS = (first, cost, chosen)
        """,
    "ctmar/cli/progress.py": "def show(): ...\n",
    "ctmar/work/__init__.py": "from ctmar.work.early import begin\nfrom ctmar.work.late import end\n",
    "ctmar/work/early.py": """
        from typing import TYPE_CHECKING
        from ctmar.shapes import Square
        from . import constants
        from equiproj import parts
        if TYPE_CHECKING:
            from ctmar.work.late import end

        def begin(x: "end", shape: Square = None):
            \"\"\"Begin.\"\"\"
            return constants.ONE + parts()
        """,
    "ctmar/work/late.py": "import numpy as np\ndef end(): return np.zeros(1)\n",
    "ctmar/work/constants.py": "ONE = 1\n",
    "ctmar/work/choice.py": """
        from importlib import import_module
        def choose(name): return import_module(f"ctmar.methods.{name}").run()
        """,
    "ctmar/methods/__init__.py": "",
    "ctmar/methods/plain.py": "def run(): ...\n",
    "ctmar/methods/other.py": "def run(): ...\n",
    "ctmar/methods/page.html": "<p>",
    "ctmar/shapes.py": "class Square: ...\n",
    "equiproj/__init__.py": """
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from equiproj.inner import parts
            from equiproj.other import whole
        def __getattr__(name): ...
        """,
    "equiproj/inner.py": "import torch\ndef parts(): return torch.zeros(1)\n",
    "equiproj/other.py": "def whole(): ...\n",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
    return tmp_path


def edit(source: Path, name: str, old: str, new: str) -> None:
    path = source / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_a_command_brings_what_its_body_imports_and_nothing_of_its_neighbours(source):
    closure = Closure.of_command("first", source)
    assert set(closure.code) == {
        "ctmar",
        "ctmar.cli",
        "ctmar.cli.steps",
        "ctmar.work",
        "ctmar.work.early",
        "ctmar.work.constants",
        "equiproj",
        "equiproj.inner",
    }
    assert closure.imported == {"torch"}


def test_a_module_chosen_by_name_brings_its_whole_package_and_the_files_beside_it(source):
    closure = Closure.of_command("chosen", source)
    assert {"ctmar.methods", "ctmar.methods.plain", "ctmar.methods.other"} <= set(closure.code)
    assert closure.data_files() == [source / "ctmar/methods/page.html"]


def test_a_name_that_the_source_does_not_show_brings_everything_below(source):
    edit(source, "ctmar/work/early.py", "from equiproj import parts", "from equiproj import hidden as parts")
    assert {"equiproj.inner", "equiproj.other"} <= set(Closure.of_command("first", source).code)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("ctmar/work/early.py", "Begin.", "Begin the work."),
        ("ctmar/work/early.py", "return constants", "# the sum\n    return constants"),
        ("ctmar/work/early.py", "shape: Square = None", 'shape: "Square | None" = None'),
        ("ctmar/work/early.py", "from . import constants\nfrom equiproj", "from . import constants\n\n\nfrom equiproj"),
        ("ctmar/cli/steps.py", "How much.", "How much of it."),
        ("ctmar/cli/steps.py", "return end()", "return end() + 1"),
        ("ctmar/work/late.py", "np.zeros(1)", "np.ones(1)"),
        ("ctmar/cli/progress.py", "...", "return 1"),
        ("equiproj/other.py", "...", "return 1"),
        ("ctmar/methods/page.html", "<p>", "<b>"),
    ],
)
def test_what_does_not_run_changes_nothing(source, name, old, new):
    before = digest_of(Closure.of_command("first", source))
    edit(source, name, old, new)
    assert digest_of(Closure.of_command("first", source)) == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("ctmar/work/constants.py", "1", "2"),
        ("ctmar/cli/steps.py", "LIMIT = 3", "LIMIT = 4"),
        ("ctmar/cli/steps.py", "return value", "return -value"),
        ("ctmar/cli/steps.py", "min=0", "min=1"),
        ("ctmar/cli/steps.py", "] = 0", "] = 1"),
        ("ctmar/work/early.py", "Square = None", "Square = 0"),
        ("ctmar/work/early.py", "import constants", "import constants as constants\nprint()"),
        ("ctmar/work/__init__.py", "from ctmar.work.late", "print()\nfrom ctmar.work.late"),
        ("equiproj/inner.py", "zeros", "ones"),
    ],
)
def test_what_runs_changes_the_digest(source, name, old, new):
    before = digest_of(Closure.of_command("first", source))
    edit(source, name, old, new)
    assert digest_of(Closure.of_command("first", source)) != before


def test_the_files_of_a_package_change_the_digest(source):
    before = digest_of(Closure.of_command("chosen", source))
    edit(source, "ctmar/methods/page.html", "<p>", "<b>")
    assert digest_of(Closure.of_command("chosen", source)) != before


def test_the_bases_and_fields_of_a_class_count(source):
    (source / "ctmar/shapes.py").write_text("class Base: ...\nclass Square(Base):\n    side: int\n")
    edit(source, "ctmar/work/constants.py", "ONE = 1", "from ctmar.shapes import Square\nONE = Square()")
    before = digest_of(Closure.of_command("first", source))
    edit(source, "ctmar/shapes.py", "side: int", "side: float")
    assert digest_of(Closure.of_command("first", source)) != before


def test_an_unknown_command_is_named(source):
    with pytest.raises(LookupError, match="found none with the name 'second'"):
        Closure.of_command("second", source)


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("ctmar", "equiproj", exclude_type_checking_imports=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_counts_that_no_import_leads_to(graph, command):
    # grimp takes an `__init__` as a whole and sees no f-string: what we find is a part of what it finds below both
    found = Closure.of_command(command, SOURCE)
    closure = set(found.code)
    late = {package for parts in found.code.values() for part in parts for package in part.packages}
    entries = {name for name in closure if name.startswith("ctmar.cli.")}
    entries |= {below for package in late for below in graph.find_descendants(package)}
    reached = {name for entry in entries for name in graph.find_upstream_modules(entry)}
    parents = {name.rsplit(".", n)[0] for name in reached | entries for n in range(1, name.count(".") + 1)}
    assert closure <= entries | reached | parents
    assert not closure & set(SILENT)

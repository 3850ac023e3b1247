"""Source as it runs: statement by statement, without docstrings, annotations, help texts and comments."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

PACKAGES = ("ctmar", "equiproj")
# text for a reader of `--help` and of config/README.md
_TOLD_BY = {"Field": "description", "Option": "help", "Argument": "help"}
_PACKAGE = re.compile(rf"((?:{'|'.join(PACKAGES)})(?:\.\w+)*)\.")  # how f"ctmar.training.methods.{name}" begins


@dataclass(frozen=True)
class Import:
    """One name that an import statement brings; ``level`` counts the dots of a relative one."""

    module: str
    name: str | None
    level: int = 0


@dataclass(frozen=True)
class Part:
    """One statement at the top of a module, or one name of an import statement there.

    Attributes:
        line: where it stands; all imports stand at 0, because their order changes nothing.
        code: what of it runs, as text.
        binds: names that it gives a value; a part without names only does something.
        uses: names of the module that it may read.
        imports: what it brings, at any depth.
        packages: packages of which it imports a module whose name is known only when it runs.
    """

    line: int
    code: str
    binds: frozenset[str]
    uses: frozenset[str] = frozenset()
    imports: tuple[Import, ...] = ()
    packages: tuple[str, ...] = ()


@cache
def parts_of(source: bytes, annotations: bool = False) -> tuple[Part, ...]:
    r"""The parts of a module, without imports that only annotations need.

    Args:
        source: its text.
        annotations: keep those of functions, because a command line reads them. Those of a class are always kept,
            because dataclasses and pydantic read them.

    Examples:
        >>> zero, nought = (b'def f(x: int = 0):\n    "Zero."\n    return x', b"def f(x=0): return x  # nought")
        >>> parts_of(zero)[0].code == parts_of(nought)[0].code
        True
    """
    strip = _Strip(annotations)
    body = [strip.visit(node) for line in ast.parse(source).body for node in _for_type_checkers(line)]
    parts = [part for node in body if node is not None for part in _parts(node)]
    only_annotations = strip.left_out - {name for part in parts for name in part.uses}
    return tuple(part for part in parts if part.line or not part.binds <= only_annotations)


def _parts(node: ast.stmt) -> Iterator[Part]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        for alias, brought in zip(node.names, _imports(node), strict=True):
            bound = alias.asname or alias.name.partition(".")[0]
            yield Part(0, f"{brought} as {bound}", frozenset({bound}), imports=(brought,))
        return
    inside = list(ast.walk(node))
    packages = (_late_package(inner) for inner in inside)
    yield Part(
        line=node.lineno,
        code=ast.dump(node),
        binds=frozenset(_bound(node, inside)),
        uses=frozenset(_used(node, inside)),
        imports=tuple(found for inner in inside for found in _imports(inner)),
        packages=tuple(package for package in packages if package),
    )


def _imports(node: ast.AST) -> Iterator[Import]:
    match node:
        case ast.Import(names=names):
            yield from (Import(alias.name, None) for alias in names)
        case ast.ImportFrom(module=module, names=names, level=level):
            yield from (Import(module or "", alias.name, level) for alias in names)
        case ast.Call(
            func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            yield Import(name, None)


def _late_package(node: ast.AST) -> str | None:
    match node:
        case ast.JoinedStr(values=[ast.Constant(value=str(start)), *_]):
            found = _PACKAGE.fullmatch(start)
            return found.group(1) if found else None
    return None


def _for_type_checkers(node: ast.stmt) -> list[ast.stmt]:
    """What stands below ``if TYPE_CHECKING``, else the statement itself.

    In the ``__init__`` of a package that imports late it says where a name lives; elsewhere only annotations read it.
    """
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), body=body):
            return body
    return [node]


def _bound(node: ast.stmt, inside: Sequence[ast.AST]) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
        return
    for inner in inside:
        match inner:
            case ast.Name(id=name, ctx=ast.Store()) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(name=name, asname=given):
                yield given or name.partition(".")[0]


def _used(node: ast.stmt, inside: Sequence[ast.AST]) -> set[str]:
    """Names that it may read from the module: in the body of a function, parameters hide them."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return _names(inside)
    head = [inner for part in (node.args, *node.decorator_list) for inner in ast.walk(part)]
    hidden = {inner.arg for inner in head if isinstance(inner, ast.arg)}
    returned = ast.walk(node.returns) if node.returns else ()
    return _names(head) | _names(returned) | _names(inner for line in node.body for inner in ast.walk(line)) - hidden


def _names(nodes: "Sequence[ast.AST] | Iterator[ast.AST]") -> set[str]:
    return {node.id for node in nodes if isinstance(node, ast.Name)}


class _Strip(ast.NodeTransformer):
    """Takes out what does not run; ``left_out`` are the names that stood in annotations."""

    def __init__(self, annotations: bool) -> None:
        self.annotations = annotations
        self.in_class = False
        self.left_out: set[str] = set()

    def _leave_out(self, annotation: ast.expr | None) -> None:
        for node in ast.walk(annotation) if annotation else ():
            if isinstance(node, ast.Name):
                self.left_out.add(node.id)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                self.left_out.update(re.findall(r"[^\W\d]\w*", node.value))

    def _definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> ast.AST:
        in_class, self.in_class = self.in_class, isinstance(node, ast.ClassDef)
        if not isinstance(node, ast.ClassDef) and not self.annotations:
            self._leave_out(node.returns)
            node.returns = None
        self.generic_visit(node)
        self.in_class = in_class
        node.body = node.body or [ast.Pass()]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._definition(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._definition(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._definition(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        if not self.annotations:
            self._leave_out(node.annotation)
            node.annotation = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if self.in_class:
            return self.generic_visit(node)
        self._leave_out(node.annotation)
        if node.value is None:
            return None
        return self.generic_visit(ast.copy_location(ast.Assign(targets=[node.target], value=node.value), node))

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        node.keywords = [keyword for keyword in node.keywords if keyword.arg != _TOLD_BY.get(called, "")]
        return self.generic_visit(node)

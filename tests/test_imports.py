"""Who imports whom: no circles among the four packages, and no import hidden in a string."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest
from grimp import ImportGraph

ROOT = Path(__file__).parent.parent
PACKAGES = ("harness", "suites", "trainers", "reports")
BY_STRING = {"import_module", "__import__", "resolve_name", "run_module"}
"""What imports a module that a string names."""
LAZY_TABLES = {
    "harness": "`import harness` is quick: a verb and what it needs are loaded when it is first named",
    "harness.cli": "`harness --help` is quick: only the command that is asked for is loaded",
    "trainers.stages": "a plan is quick: a stage's module, with torch and TRL, is loaded when it is trained",
}
"""Literal tables of our own modules, which are imported by their names."""
FOREIGN = {
    "harness.adaptors.lighteval.definitions": "lighteval's own modules of tasks",
    "harness.user_modules": "a user's rule or reward, `module:function` in harness.toml",
}
"""Imports, by a string, of modules that are not ours."""


@pytest.fixture(scope="module")
def graph() -> ImportGraph:
    """Every import between our modules, those inside functions and for types included."""
    return grimp.build_graph(*PACKAGES, cache_dir=None)


def test_no_module_imports_itself_by_way_of_others(graph: ImportGraph) -> None:
    """Neither at the top of a module nor inside a function, nor by the names in a lazy table."""
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    for table in LAZY_TABLES:
        imported[table] |= graph.modules & {text.partition(":")[0] for text in strings(table)}

    circle = []
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as error:
        circle = error.args[1]

    assert [] == circle


def test_our_modules_are_imported_by_string_in_lazy_tables_only(graph: ImportGraph) -> None:
    """A string hides an import from readers, linters and the test above; each that stays has its reason."""
    found = {module for module in graph.modules if BY_STRING & set(names(module))}

    assert {*LAZY_TABLES, *FOREIGN} == found


def test_a_lazy_table_is_a_table(graph: ImportGraph) -> None:
    """What is imported by string comes out of it, and is not written into the call."""
    written = [
        ast.unparse(node)
        for module in (*LAZY_TABLES, *FOREIGN)
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Call) and BY_STRING & set(names_in(node.func))
        if isinstance(node.args[0], ast.Constant)
    ]

    assert [] == written


def tree(module: str) -> ast.Module:
    """A module, parsed."""
    place = ROOT.joinpath(*module.split("."))
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def names(module: str) -> Iterator[str]:
    """Every name that a module's code uses."""
    return names_in(tree(module))


def names_in(tree: ast.AST) -> Iterator[str]:
    """Every name and attribute in a piece of code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr


def strings(module: str) -> Iterator[str]:
    """Every text that a module's code holds."""
    return (
        node.value
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def test_no_public_class_name_is_used_twice() -> None:
    """One word for one thing: a name says which class is meant, wherever it is read."""
    homes: dict[str, list[str]] = {}
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    homes.setdefault(node.name, []).append(str(file.relative_to(ROOT)))
    assert {} == {name: files for name, files in homes.items() if len(files) > 1}

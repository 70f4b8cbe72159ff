"""Users' own Python modules: which file a `module:function` of harness.toml means, and its function."""

import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module, reload
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness.errors import UsageError

RAISED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a user's function may raise when it meets what it was not made for."""


def make_importable(root: Path) -> None:
    """Let modules in the project's folder be imported, after all others."""
    if str(root) not in sys.path:
        sys.path.append(str(root))


def load_function(source: str, named: str, *, anew: bool = False) -> Callable[..., Any]:
    """The function of `module:function`. `anew`: the module may have changed since it was imported.

    `named` begins messages. Raises UsageError where there is no such function.
    """
    module, _, name = source.partition(":")
    try:
        if anew and module in sys.modules:
            reload(sys.modules[module])
        function: Callable[..., Any] = getattr(import_module(module), name)
    except (*RAISED, SyntaxError) as error:
        raise UsageError(f"{named} cannot be loaded: {type(error).__name__}: {error}") from error
    if not callable(function):
        raise UsageError(f"{named}: {name!r} of {module} is not a function")
    return function


def module_file(module: str, root: Path | None, named: str) -> Path:
    """The file of a module that is installed, or lies in the project's folder `root`.

    `named` begins messages. Raises UsageError where there is no such file, and where there is one in the
    project's folder that Python does not find, because another module has its name.
    """
    spec = None
    with suppress(ImportError, ValueError):
        spec = find_spec(module)
    origin = None if spec is None else spec.origin
    own = None if root is None else _own(module, root)
    if own is not None and spec is not None and (origin is None or Path(origin).resolve() != own.resolve()):
        raise UsageError(
            f"{named}: {own} has the name of another module, {_shown(module, origin)}, which Python finds "
            f"first; rename yours, for example to my_{own.name}"
        )
    if origin is not None and Path(origin).is_file():
        return Path(origin)
    beside = "" if root is None else f", neither installed nor in {root}"
    raise UsageError(f"{named}: there is no module {module!r} with a file{beside}")


def _own(module: str, root: Path) -> Path | None:
    """The module's file in the project's folder."""
    place = root.joinpath(*module.split("."))
    files = (place.with_name(f"{place.name}.py"), place / "__init__.py")
    return next((file for file in files if file.is_file()), None)


def _shown(module: str, origin: str | None) -> str:
    ours = module.partition(".")[0] in ("harness", "suites", "trainers", "reports")
    return "a package of harness itself" if ours else str(origin or module)

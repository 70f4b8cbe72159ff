"""From a Model to the Engine that answers for it: the one place that looks at the kind of source.

Third parties add engines through the entry point group `harness.engines`: a callable that is given the
model's settings and returns an Engine.

It does not know how any engine works, and loads a model library only when a model that needs it is opened.
"""

from collections.abc import Callable, Mapping
from contextlib import closing
from importlib.metadata import EntryPoint, entry_points
from typing import assert_never, cast

from harness.engine.identity import Identity, identify
from harness.errors import UnknownName, UsageError
from harness.protocols import Engine
from harness.records import Endpoint, Gemini, Json, Local, Model, Plugin

ENGINES = "harness.engines"


def open_engine(model: Model, *, device: str | None = None) -> Engine:
    """Load or reach a model. `device` is `cpu`, `cuda` or `cuda:N`; None takes a GPU where there is one.

    Raises ModelError or DownloadNeeded for a local model that cannot be used, UnknownName for an engine that
    is not installed, UsageError for a source this version cannot ask.
    """
    match model.source:
        case Local():
            # torch and transformers take seconds to import
            from harness.engine.local import open_local  # noqa: PLC0415

            return open_local(model, model.source, device=device)
        case Plugin():
            make = cast(Callable[[Mapping[str, Json]], Engine], _plugin(model.source).load())
            return make(model.source.settings)
        case Endpoint() | Gemini():
            raise _not_yet(model)
        case _:
            assert_never(model.source)


def check_model(model: Model) -> None:
    """Raise what `open_engine` would, as far as it shows before anything is loaded or reached."""
    match model.source:
        case Local():
            identify(model)
        case Plugin():
            _plugin(model.source)
        case Endpoint() | Gemini():
            raise _not_yet(model)
        case _:
            assert_never(model.source)


def identify_model(model: Model) -> Identity:
    """What a model's answers depend on: from its files for a local model, else from its engine, opened."""
    if isinstance(model.source, Local):
        return identify(model)
    with closing(open_engine(model)) as engine:
        return Identity(fingerprint=engine.fingerprint, chat_template=engine.chat_template)


def _plugin(source: Plugin) -> EntryPoint:
    installed = {entry.name: entry for entry in entry_points(group=ENGINES)}
    if source.engine not in installed:
        raise UnknownName("installed engine", source.engine, installed)
    return installed[source.engine]


def _not_yet(model: Model) -> UsageError:
    return UsageError(
        f"model {model.name!r}: this version cannot ask endpoint models yet; give it a folder or a hub id "
        "(`path`)"
    )

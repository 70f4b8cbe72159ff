"""Opens the engine of a model: the only place that distinguishes the kinds of sources.

Third parties add engines through the entry point group `harness.engines`: a callable that takes the model's
settings and returns an Engine. A model library is imported only when a model that needs it is opened.
"""

from collections.abc import Callable, Mapping
from contextlib import closing
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import assert_never, cast

from harness.engine.answers_engine import identify_answers, open_answers, read_answers
from harness.engine.identity import Identity, as_asked, identify
from harness.engine.model_files import labels_of
from harness.engine.services.service_identity import identify_endpoint, identify_gemini, key_of
from harness.engine.thinking import ThinkingEngine
from harness.engine.unloaded_engine import UnloadedEngine
from harness.errors import ModelError, UnknownName, UsageError
from harness.protocols import Engine
from harness.records.models import AnswerFiles, Endpoint, Gemini, Json, Local, Model, Plugin
from harness.thoughts import template_arguments

ENGINES = "harness.engines"
EXTRAS = {"gemini": "google.generativeai", "vllm": "vllm"}
"""The package that each extra of engines brings."""


def open_engine(model: Model, *, device: str | None = None, looks: bool = True) -> Engine:
    """Load or reach a model, asked as its section says, whose answers come without their thoughts.

    `device` is one of `harness.engine.local.devices`, as `cuda:1`; None takes a GPU where there is one.
    `looks` allows one short request besides, which shows whether a server's texts begin within a thought.

    Raises ModelError or DownloadNeeded for a local model that cannot be used, ModelError for a key that is
    not set, UnknownName for an engine that is not installed, UsageError for an extra that is not.
    """
    engine = _opened(model, device)
    if isinstance(model.source, AnswerFiles):
        return engine
    return ThinkingEngine(engine, model, as_asked(_identity_of(engine), model).fingerprint, looks=looks)


def _opened(model: Model, device: str | None) -> Engine:
    match model.source:
        case Local(backend="vllm"):
            _need_extra(model, "vllm")
            from harness.engine.local.vllm import open_vllm  # noqa: PLC0415 - an extra

            return open_vllm(model, model.source, device=device)
        case Local():
            from harness.engine.local.engine import open_local  # noqa: PLC0415 - torch takes seconds to import

            return open_local(model, model.source, device=device)
        case Endpoint():
            from harness.engine.services.endpoint import EndpointEngine  # noqa: PLC0415 - httpx, for those who need it

            return EndpointEngine(model.name, model.source, template_arguments=template_arguments(model))
        case Gemini():
            _need_extra(model, "gemini")
            from harness.engine.services.gemini import GeminiEngine  # noqa: PLC0415 - an extra

            return GeminiEngine(model.name, model.source)
        case Plugin():
            make = cast(Callable[[Mapping[str, Json]], Engine], _plugin(model.source).load())
            return make(model.source.settings)
        case AnswerFiles():
            return open_answers(model, model.source)
        case _:
            assert_never(model.source)


def is_reward_model(model: Model) -> bool:
    """Whether a model rates answers (a sequence classifier with one label) and writes none.

    Raises ModelError for a classifier with more labels, and what `identify` raises.
    """
    if not isinstance(model.source, Local) or model.source.backend != "transformers":
        return False
    found = identify(model)
    if found.gguf is not None:
        return False
    folder, labels = found.path, labels_of(found.path)
    if labels is not None and labels != 1:
        raise ModelError(
            f"model {model.name!r}: {folder} is a classifier with {labels} labels, and one that rates "
            "answers has 1; a pipeline that ends in a reward stage makes one"
        )
    return labels == 1


def open_reward_model(model: Model, *, device: str | None = None) -> Engine:
    """Load a reward model (see `is_reward_model`). Raises what `open_engine` raises for a local model.

    Raises UsageError for a model whose section says how it is asked: it is asked nothing.
    """
    assert isinstance(model.source, Local)
    if model.chat_settings:
        raise UsageError(
            f"model {model.name!r} rates answers and writes none: leave {', '.join(model.chat_settings)} out "
            f"of [models.{model.name}]"
        )
    from harness.engine.local.reward_model import load_reward_model  # noqa: PLC0415 - torch takes seconds to import

    return load_reward_model(model, model.source, device=device)


def takes_schema(model: Model) -> bool:
    """Whether a model's service accepts a JSON schema for an answer (`Prompt.schema`).

    Whether it then keeps to the schema shows only in its answers.
    """
    source = model.source
    return isinstance(source, Gemini) or (isinstance(source, Endpoint) and source.api == "chat")


def without_weights(model: Model, identity: Identity, description: Mapping[str, Json]) -> Engine:
    """The engine of an identified model that is not loaded: it renders turns, and answers nothing.

    `description` is that of the engine that gave the answers, for runs to record.
    """
    return ThinkingEngine(UnloadedEngine(model, identity, description), model, identity.fingerprint)


def check_model(model: Model) -> None:
    """Raise what `open_engine` would raise, as far as that shows before anything is loaded or reached."""
    match model.source:
        case Local():
            if model.source.backend == "vllm":
                _need_extra(model, "vllm")
            as_asked(identify(model), model)
        case Plugin():
            _plugin(model.source)
        case Endpoint():
            key_of(model.name, model.source.key_env)
        case Gemini():
            _need_extra(model, "gemini")
            key_of(model.name, model.source.key_env)
        case AnswerFiles():
            read_answers(model, model.source)
        case _:
            assert_never(model.source)


def identify_model(model: Model) -> Identity:
    """What a model's answers depend on. Only a third party's engine is opened for it.

    Raises ModelError for a system prompt of a model that takes no turns.
    """
    return as_asked(_identity(model), model)


def _identity(model: Model) -> Identity:
    match model.source:
        case Local():
            return identify(model)
        case Endpoint():
            return identify_endpoint(model.source)
        case Gemini():
            return identify_gemini(model.source)
        case Plugin():
            with closing(_opened(model, None)) as engine:
                return _identity_of(engine)
        case AnswerFiles():
            return identify_answers(model, model.source)
        case _:
            assert_never(model.source)


def _identity_of(engine: Engine) -> Identity:
    info = engine.info
    return Identity(fingerprint=info.fingerprint, chat_template=info.chat_template)


def _plugin(source: Plugin) -> EntryPoint:
    installed = {entry.name: entry for entry in entry_points(group=ENGINES)}
    if source.engine not in installed:
        raise UnknownName("installed engine", source.engine, installed)
    return installed[source.engine]


def _need_extra(model: Model, extra: str) -> None:
    try:
        found = find_spec(EXTRAS[extra])
    except ModuleNotFoundError:  # not even the package around it
        found = None
    if found is None:
        raise UsageError(
            f"model {model.name!r} needs the package {EXTRAS[extra]!r}, which is not installed: "
            f'pip install "harness[{extra}]"'
        )

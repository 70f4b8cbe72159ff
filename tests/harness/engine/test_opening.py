"""From a Model to its engine."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from harness.engine import opening
from harness.engine.identity import identify
from harness.engine.opening import identify_model, open_engine
from harness.errors import UnknownName, UsageError
from harness.protocols import SERVED_TEMPLATE, Engine
from harness.records.models import Endpoint, Gemini, Json, Local, Model, Plugin
from tests.harness.engine.scripted import ScriptedEngine
from tests.tiny_models import tiny_llama


def echoing(settings: Mapping[str, Json]) -> Engine:
    """A third party's engine, as an entry point would name it."""
    return ScriptedEngine(name=str(settings["name"]), chat_template="lines")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a package had declared an engine named `echo`."""
    entry = EntryPoint(name="echo", value=f"{__name__}:echoing", group=opening.ENGINES)
    monkeypatch.setattr(EntryPoint, "load", lambda _: echoing)
    monkeypatch.setattr(opening, "entry_points", lambda group: EntryPoints([entry]))


def test_a_local_model_opens(tmp_path: Path) -> None:
    """The engine has the fingerprint and the template that its files have."""
    model = Model(name="tiny", source=Local(path=str(tiny_llama(tmp_path / "tiny"))))

    engine = open_engine(model, device="cpu")

    assert identify(model).fingerprint == engine.info.fingerprint == identify_model(model).fingerprint
    assert identify(model).chat_template == engine.info.chat_template
    with pytest.raises(UsageError, match="tpu"):
        open_engine(model, device="tpu")


@pytest.mark.usefixtures("installed")
def test_a_plugin_is_given_its_settings() -> None:
    """A third party's engine is found by name and made from the model's settings."""
    model = Model(name="m", source=Plugin(engine="echo", settings={"name": "parrot"}))

    engine = open_engine(model)

    assert ScriptedEngine(name="parrot", chat_template="lines").info.fingerprint == engine.info.fingerprint
    assert engine.info.fingerprint == identify_model(model).fingerprint
    assert "lines" == identify_model(model).chat_template


@pytest.mark.usefixtures("installed")
def test_an_unknown_plugin_is_answered_with_the_nearest() -> None:
    """A misspelt engine is an error that proposes the right name."""
    with pytest.raises(UnknownName, match="did you mean 'echo'"):
        open_engine(Model(name="m", source=Plugin(engine="ecko")))


def test_a_service_is_identified_unopened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who a served model is said to be is known without reaching it, and without its library."""
    monkeypatch.setattr(opening, "open_engine", lambda model: pytest.fail("it was opened"))
    for source in (Endpoint(url="http://localhost/v1", model="m"), Gemini(model="g")):
        assert SERVED_TEMPLATE == identify_model(Model(name="judge", source=source)).chat_template


@pytest.mark.parametrize(
    ("fingerprint", "model"),
    [
        (
            "sha256:040d6e80bb25fe4ced9fd7a6524b0219faf9afd6d7454bdfd6ce7f633abf146d",
            Model(name="m", source=Endpoint(url="http://localhost:8000/v1/", model="m")),
        ),
        (
            "sha256:a8a2436f293b362520ae0883ff580dff19d33a94d59420fcd884d3ad5522e680",
            Model(name="m", source=Endpoint(url="http://localhost:8000/v1", model="m", api="completions")),
        ),
        (
            "sha256:ee4398ec951fa72fae8d0954a62d896e81428f2832fbf4e035155f3006e1a2f2",
            Model(name="m", source=Gemini(model="g")),
        ),
        (
            "sha256:49793b6c1968c56ad1202a37132281bab5844b7a1b5ea6d1013441ab044ca454",
            Model(name="m", source=Gemini(model="g"), thinking=True, system="Be brief."),
        ),
        (
            "sha256:5af6d3a83c8d042b90f919610355b3aa5b16b4d38640537ef9e1cb07c3df9fe0",
            Model(name="m", source=Gemini(model="g", url="http://proxy")),
        ),
    ],
)
def test_the_fingerprint_of_a_service_is_fixed(fingerprint: str, model: Model) -> None:
    """One that changed would make every store forget its answers: change it on purpose or not at all."""
    assert fingerprint == identify_model(model).fingerprint

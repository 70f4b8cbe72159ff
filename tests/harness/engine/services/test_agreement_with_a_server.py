"""A server that others have written: transformers' own, with the same weights as the local engine."""

import importlib.util
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.engine.opening import open_engine
from harness.engine.services.endpoint import EndpointEngine
from harness.records.answers import Message, Prompt, SamplingParameters
from harness.records.models import Endpoint, Local, Model
from tests.tiny_models import SENTENCES, tiny_llama

SERVE = "import sys; from transformers.cli.transformers import main; sys.argv[:1] = ['transformers']; main()"
SAMPLING = SamplingParameters(max_tokens=12)

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(package) is None for package in ("fastapi", "uvicorn", "openai")),
    reason="transformers' server needs fastapi, uvicorn and openai",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with a chat template."""
    return tiny_llama(tmp_path_factory.mktemp("models") / "tiny", max_length=512)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running server, which loads the model that it is asked for."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    arguments = ["serve", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with log.open("w") as output:
        running = subprocess.Popen([sys.executable, "-c", SERVE, *arguments], stdout=output, stderr=output)
    try:
        while "Application startup complete" not in log.read_text():
            assert running.poll() is None, log.read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        running.kill()
        running.wait()


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_greedy_answers_agree(folder: Path, url: str, api: str) -> None:
    """Its chat template or none, its tokens and its counts: every answer is the local engine's."""
    prompts = [
        Prompt(content=(Message(role="user", content=text),) if api == "chat" else text) for text in SENTENCES
    ]
    local = open_engine(Model(name="local", source=Local(path=str(folder))), device="cpu")
    served = EndpointEngine("served", Endpoint(url=url, model=str(folder), api=api))  # type: ignore[arg-type]
    expected, found = dict(local.generate(prompts, SAMPLING)), dict(served.generate(prompts, SAMPLING))
    for index, answer in expected.items():
        assert (answer.text, answer.stop_reason, answer.completion_tokens) == (
            found[index].text,
            found[index].stop_reason,
            found[index].completion_tokens,
        )
    assert not served.can_score, "this server does not echo"

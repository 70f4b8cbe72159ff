"""`harness sample`: show models' answers to one prompt side by side."""

from collections.abc import Mapping
from typing import Annotated

import typer
from rich.columns import Columns
from rich.panel import Panel

from harness.cli.console import Text
from harness.cli.introduction import introduce
from harness.cli.options import AnswerTokens, AsJson, Config, Device, Names, Seed, Temperature
from harness.cli.progress import ProgressBars
from harness.cli.terminal import complain_of_failures, console, errors, print_json, record_as_json
from harness.records.answers import Response, SamplingParameters
from harness.verbs.project import open_project
from harness.verbs.sampling import sample_answers


def command(
    names: Names,
    prompt: Annotated[str, typer.Option("--prompt", "-p", help="The prompt.")],
    max_tokens: AnswerTokens = 256,
    temperature: Temperature = 0.0,
    chat: Annotated[
        bool | None,
        typer.Option(
            "--chat/--raw",
            help="Send the prompt as a user's turn, or as bare text. Default: as a turn where possible.",
        ),
    ] = None,
    config: Config = None,
    seed: Seed = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Show several models' answers to one prompt side by side."""
    project = introduce(open_project(config, seed=seed, device=device))
    sampling = SamplingParameters(max_tokens=max_tokens, temperature=temperature, seed=seed or 0)
    with ProgressBars() as progress:
        answers = sample_answers(project, names, prompt, sampling, chat=chat, progress=progress)
    models = project.registry.models
    for name in names if chat is False else ():
        if name in models and models[name].system is not None:
            errors.print(f"{name}: its system prompt is not put before a bare text (--raw)", markup=False)
    if as_json:
        print_json({name: record_as_json(answer) for name, answer in answers.items()})
    else:
        console.print(_side_by_side(answers))
    complain_of_failures(
        f"of {name!r} ({answer.reason})" for name, answer in answers.items() if answer.stop_reason == "failed"
    )


def _side_by_side(answers: Mapping[str, Response]) -> Columns:
    width = max(30, console.width // len(answers) - 2)
    return Columns(
        [
            Panel(
                _text(answer),
                title=Text(name),
                subtitle=answer.stop_reason,
                width=width,
            )
            for name, answer in answers.items()
        ]
    )


def _text(answer: Response) -> Text:
    """The answer, or why there is none; before it, dimmed, what the model thought."""
    text = Text(overflow="fold")  # columns cut long words
    if answer.thought is not None:
        text.append(f"thought: {answer.thought}\n\n", style="dim")
    return text.append(answer.text or answer.reason or "")

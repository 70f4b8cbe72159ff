"""The verb `sample`: show models' answers to one prompt."""

from collections.abc import Sequence
from contextlib import closing

from harness.engine.opening import identify_model, open_engine
from harness.recorded import recorded
from harness.records.answers import Prompt, Response, SamplingParameters
from harness.turns import turns_or_text
from harness.verbs.progress import Progress
from harness.verbs.project import Project


def sample_answers(
    project: Project,
    names: Sequence[str],
    prompt: str,
    sampling: SamplingParameters,
    *,
    chat: bool | None = None,
    progress: Progress | None = None,
) -> dict[str, Response]:
    """Every model's answer to one prompt, as a user's turn where the model has a chat template.

    `chat` False continues the bare text instead; True insists on a template.
    """
    progress = progress or Progress()
    project.check(names)
    answers = {}
    with project.store() as store:
        for name in names:
            model = project.model(name, progress)
            in_turns = chat if chat is not None else identify_model(model).chat_template is not None
            content = turns_or_text(prompt, chat=in_turns)
            with closing(open_engine(model, device=project.device)) as engine:
                [(_, answers[name])] = recorded(engine, store).generate([Prompt(content=content)], sampling)
    return answers

"""Without transformers a plan counts the tokens that a training with it reads."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from harness.errors import ModelError
from tests.real_models import smollm2_gguf
from tests.tiny_models import tiny_llama
from tests.trainers.test_tokens import ONE_TURN, SEVERAL_TURNS, TEMPLATES
from tests.trainers.world import World
from trainers.data import demonstrations
from trainers.plain_tokenizer import PlainTokenizer
from trainers.tokens import answer_ids, judged_ids, load_tokenizer, prompt_ids

JINJA = {
    **TEMPLATES,
    "loop": "{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}[{{ m.role }}] "
    "{{ m.content | tojson }}\n{% endfor %}{% if add_generation_prompt %}[assistant] {% endif %}",
    "date": "{{ strftime_now('%d %b %Y') }}{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}"
    "{{ eos_token }}\n    {% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}",
    "lines": "{% for m in messages %}\n  {% if m.role %}\n{{ m.role }}: {{ m.content }}\n  {% endif %}\n"
    "{% endfor %}\n{% if add_generation_prompt %}\nassistant: {% endif %}",
    "tools": "{%- if tools %}{{ tools[0] }}{%- endif -%}{%- set ns = namespace(n=0) -%}"
    "{%- for m in messages -%}{%- set ns.n = ns.n + 1 -%}{{ ns.n }}:{{ m.role ~ m.content }}|{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ ns.n + 1 }}:assistant{%- endif -%}",
}
ROWS: list[dict[str, Any]] = [*ONE_TURN, SEVERAL_TURNS, {"prompt": "Ünïcödé <|end|> 猫\n", "completion": " "}]


def read(tokenizer: Any, *, chat: bool) -> list[list[int]]:
    """Everything that stages read of the rows."""
    return [
        ids
        for row in demonstrations("rows", ROWS)
        for ids in (
            prompt_ids(tokenizer, row.prompt, chat=chat),
            answer_ids(tokenizer, row.prompt, row.answer, chat=chat),
            judged_ids(tokenizer, row.prompt, row.answer, chat=chat),
        )
    ]


@pytest.mark.parametrize("template", list(JINJA))
def test_tokens_are_those_of_transformers(base: str, template: str) -> None:
    """Whatever the template uses of what transformers gives it."""
    plain = PlainTokenizer(Path(base), JINJA[template], needs_template=True)
    loaded = load_tokenizer(base, JINJA[template], needs_template=True)

    assert read(loaded, chat=True) == read(plain, chat=True)


@pytest.mark.parametrize("bos", [True, False])
def test_raw_text_is_too(tmp_path: Path, bos: bool) -> None:
    """With what the tokenizer puts in front."""
    folder = tiny_llama(tmp_path / "m", bos=bos)
    plain = PlainTokenizer(folder, None, needs_template=False)

    assert read(load_tokenizer(str(folder), None, needs_template=False), chat=False) == read(
        plain, chat=False
    )


@pytest.mark.real
def test_a_real_tokenizer(tmp_path: Path) -> None:
    """SmolLM2's, whose template brings a system prompt of its own."""
    file = smollm2_gguf()
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(tmp_path)
    plain = PlainTokenizer(tmp_path, None, needs_template=True)

    assert read(load_tokenizer(str(tmp_path), None, needs_template=True), chat=True) == read(plain, chat=True)


def test_what_could_not_be_trained_is_refused(world: World, base: str, tmp_path: Path) -> None:
    """With the same errors: a template that rejects turns, none at all, or nothing that ends an answer."""
    refusing = PlainTokenizer(Path(base), "{{ raise_exception('no such role') }}", needs_template=True)
    with pytest.raises(ModelError, match="no such role"):
        prompt_ids(refusing, [{"role": "user", "content": "a"}], chat=True)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="has no chat template"):
        PlainTokenizer(tiny_llama(tmp_path / "bare", chat_template=False), None, needs_template=True)
    endless = tmp_path / "endless"
    shutil.copytree(base, endless, ignore=shutil.ignore_patterns("checkpoints"))
    settings = json.loads((endless / "tokenizer_config.json").read_text())
    del settings["eos_token"]
    (endless / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match="no end-of-sequence token"):
        PlainTokenizer(endless, None, needs_template=True)

"""Chat templates: what they may raise, and what the clock says to them."""

import pytest
from transformers import PreTrainedTokenizerBase
from trl.data_utils import apply_chat_template

from harness.engine.local.chat import ChatRenderer, fixed_clock
from harness.errors import ModelError
from harness.records.answers import Message
from tests.tiny_models import tiny_tokenizer
from trainers.tokens import prompt_ids

TURN = [Message(role="user", content="a saw")]

BREAKING = {
    "Jinja's own": ("{{ raise_exception('no system turns') }}", "no system turns"),
    "undefined": ("{{ nothing.at.all }}", "'nothing' is undefined"),
    "syntax": ("{% if %}", "Expected an expression"),
    "forbidden": ("{{ ''.__class__.__mro__ }}", "is unsafe"),
    "too long a range": ("{% for each in range(1000000) %}{% endfor %}", "Range too big"),
    "types": ("{{ 1 + 'a' }}", "TypeError: unsupported operand"),
    "division": ("{{ 1 / 0 }}", "ZeroDivisionError: division by zero"),
    "overflow": ("{{ 10.0 ** 1000 }}", "OverflowError: "),
    "memory": ("{{ 'a' * 100000000000000 }}", "MemoryError"),
    "recursion": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "RecursionError: maximum recursion"),
    "values": ("{{ 'a'.index('z') }}", "substring not found"),
    "Python's compiler": ("{% for a in [1] %}" * 40 + "{% endfor %}" * 40, "SyntaxError: too many"),
    "a key": ("{{ '%(x)s' % {} }}", "KeyError: 'x'"),
}

LLAMA_3_2 = (
    "{%- if not date_string is defined %}{%- if strftime_now is defined %}"
    "{%- set date_string = strftime_now('%d %b %Y') %}{%- else %}{%- set date_string = '26 Jul 2023' %}"
    "{%- endif %}{%- endif %}Today Date: {{ date_string }} "
)
LLAMA_3_1 = (
    "{%- if not date_string is defined %}{%- set date_string = '26 Jul 2024' %}{%- endif %}"
    "Today Date: {{ date_string }} "
)
"""The lines of the real templates that write a date."""


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    """One that renders whatever template it is given."""
    return tiny_tokenizer()


@pytest.mark.parametrize("kind", BREAKING)
def test_whatever_a_template_raises_is_an_error_of_the_model(
    tokenizer: PreTrainedTokenizerBase, kind: str
) -> None:
    """With the model, the template's words and what to do, in evaluation and in training."""
    template, words = BREAKING[kind]
    with pytest.raises(ModelError, match="m: its chat template cannot render these turns: ") as raised:
        ChatRenderer(tokenizer, template, "m").render(TURN)
    assert words in str(raised.value)
    assert "`chat_template` in harness.toml" in str(raised.value)

    learning = tiny_tokenizer()
    learning.chat_template = template
    with pytest.raises(ModelError, match="cannot render these turns: ") as raised:
        prompt_ids(learning, [{"role": "user", "content": "a saw"}], chat=True)
    assert words in str(raised.value)


@pytest.mark.parametrize("template", [LLAMA_3_2, LLAMA_3_1])
def test_a_template_reads_the_same_date_on_every_day(
    tokenizer: PreTrainedTokenizerBase, template: str
) -> None:
    """In evaluation, in what is tokenised for training, and in what TRL renders by itself."""
    dated = template + "{{ messages[0]['content'] }}"
    learning = tiny_tokenizer()
    learning.chat_template = dated
    turns = [{"role": "user", "content": "a saw"}]

    with fixed_clock():
        by_trl = apply_chat_template({"prompt": turns}, learning)["prompt"]

    expected = "Today Date: 26 Jul 2024 a saw"
    assert expected == ChatRenderer(tokenizer, dated, "m").render(TURN) == by_trl
    assert expected in learning.decode(prompt_ids(learning, turns, chat=True))


def test_the_clock_is_put_back(tokenizer: PreTrainedTokenizerBase) -> None:
    """After training, even one that failed, other users of transformers read the real time."""
    learning = tiny_tokenizer()
    learning.chat_template = "{{ strftime_now('%Y') }}"

    with pytest.raises(ZeroDivisionError), fixed_clock():
        _ = 1 / 0

    assert "2024" != learning.apply_chat_template([{"role": "user", "content": ""}], tokenize=False)

"""What harness.toml may say, what becomes of it, and every mistake's message."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.errors import ConfigError, UnknownName
from harness.records.models import Endpoint, Gemini, Local, Model, Pipeline, Plugin, RequestLimits, Stage
from harness.registry import Compare, Prices, ProjectSettings, Registry, TokenPrice, load


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Weighted(Strict):
    name: str
    weight: float = 1.0


class Sft(Strict):
    epochs: Annotated[int, Field(gt=0)] = 3
    batch_size: int = 16
    micro_batch: int | None = None
    learning_rate: float = 1e-5
    packed: bool = False
    schedule: Literal["cosine", "linear"] = "cosine"
    loss: tuple[str, ...] = ("sigmoid",)
    length: int | str = 10
    file: Path | None = None
    rewards: tuple[Weighted, ...] = ()

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.micro_batch and self.batch_size % self.micro_batch:
            raise ValueError("micro_batch must divide batch_size")
        return self


class Questions(Strict):
    data: Path | None = None
    limit: int | None = None
    classifier: str = "original"


class Tasks(Strict):
    data: dict[str, Path] = {}
    margin: float | None = None


class Few(Strict):
    num_fewshot: int | None = None


STAGES: dict[str, type[BaseModel]] = {"pretrain": Strict, "sft": Sft, "reward": Sft, "grpo": Sft}
SUITES: dict[str, type[BaseModel]] = {"truthfulqa": Questions, "ifeval": Questions, "lm_eval:NAME": Few}
GENERAL: dict[str, type[BaseModel]] = {"general": Tasks}

Read = Callable[[str], Registry]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write a harness.toml into `tmp_path` and load it."""

    def load_text(text: str) -> Registry:
        file = tmp_path / "harness.toml"
        file.write_text(text, encoding="utf-8")
        return load(file, STAGES, SUITES)

    return load_text


@pytest.fixture
def mistakes(read: Read, tmp_path: Path) -> Callable[[str], list[str]]:
    """The lines of the error that a text gives, without the file's name before each."""

    def lines(text: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            read(text)
        prefix = f"{tmp_path / 'harness.toml'}: "
        found = str(caught.value).split("\n")
        assert all(line.startswith(prefix) for line in found)
        return [line.removeprefix(prefix).replace(str(tmp_path), "HERE") for line in found]

    return lines


Mistakes = Callable[[str], list[str]]

# ---------------------------------------------------------------- what is read


def test_an_empty_file_gives_the_defaults(read: Read, tmp_path: Path) -> None:
    """Nothing is required; every path starts from the file's folder."""
    expected = Registry(
        project=ProjectSettings(
            file=tmp_path / "harness.toml",
            root=tmp_path,
            store=f"sqlite:///{tmp_path}/harness.db",
            output=tmp_path / "candidates",
            reports=tmp_path / "reports",
            seed=0,
            label=None,
        ),
        models={},
        pipelines={},
        suites={},
        compare=Compare(suites=(), judges=(), baseline=None, level=0.95, resamples=10_000),
        judge={},
        prices=Prices(currency="USD", of={}),
    )
    assert expected == read("")


def test_relative_paths_start_from_a_given_root(tmp_path: Path) -> None:
    """An embedded file is read as if it stood in `root`."""
    file = tmp_path / "embedded.toml"
    file.write_text('[project]\noutput = "out"\n')
    elsewhere = tmp_path / "elsewhere"
    project = load(file, STAGES, SUITES, root=elsewhere).project
    assert (elsewhere, f"sqlite:///{elsewhere}/harness.db", elsewhere / "out") == (
        project.root,
        project.store,
        project.output,
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("sqlite:///data/results.db", "sqlite:///HERE/data/results.db"),
        ("sqlite+pysqlite:///results.db?timeout=5", "sqlite+pysqlite:///HERE/results.db?timeout=5"),
        ("sqlite:////srv/results.db", "sqlite:////srv/results.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite://", "sqlite://"),
        ("postgresql+psycopg://user@host/db", "postgresql+psycopg://user@host/db"),
    ],
)
def test_only_a_relative_sqlite_file_is_made_absolute(
    read: Read, tmp_path: Path, written: str, meant: str
) -> None:
    """Every other URL is kept as it is."""
    project = read(f'[project]\nstore = "{written}"').project
    assert meant.replace("HERE", str(tmp_path)) == project.store


def test_the_four_kinds_of_model(read: Read, tmp_path: Path) -> None:
    """The one key of `path`, `endpoint`, `gemini` and `engine` says which kind a model is."""
    (tmp_path / "chat.jinja").write_text("{{ messages }}")
    registry = read("""
        [models.base]
        path = "google/gemma-3-1b-pt"
        revision = "abc"
        dtype = "float32"
        adapter = "someone/adapter"
        chat_template = "chat.jinja"
        trust_remote_code = true
        [models.served]
        endpoint = "http://localhost:8000/v1"
        model = "grpo"
        key_env = "SERVED_KEY"
        [models.gemini]
        gemini = "gemini-2.5-flash"
        [models.other]
        engine = "theirs"
        settings = { depth = 3 }
    """)
    expected = [
        Model(
            name="base",
            source=Local(
                path="google/gemma-3-1b-pt",
                revision="abc",
                adapter="someone/adapter",
                dtype="float32",
                trust_remote_code=True,
            ),
            chat_template="{{ messages }}",
        ),
        Model(
            name="served",
            source=Endpoint(url="http://localhost:8000/v1", model="grpo", key_env="SERVED_KEY"),
        ),
        Model(name="gemini", source=Gemini(model="gemini-2.5-flash", key_env="GEMINI_API_KEY")),
        Model(name="other", source=Plugin(engine="theirs", settings={"depth": 3})),
    ]
    assert expected == list(registry.models.values())


def test_how_services_are_asked(read: Read) -> None:
    """Interface, limits and patience of a model behind a service; the defaults are the records' own."""
    limits = """
        concurrency = 2
        requests_per_minute = 30
        tokens_per_minute = 1000
        timeout = 5
        retries = 0
    """
    registry = read(f"""
        [models.served]
        endpoint = "https://x/v1"
        model = "m"
        api = "completions"
        {limits}
        [models.judge]
        gemini = "g"
        url = "http://proxy"
        {limits}
        [models.fast]
        path = "a/b"
        backend = "vllm"
    """)
    asked = RequestLimits(
        concurrency=2, requests_per_minute=30, tokens_per_minute=1000, timeout=5.0, retries=0
    )
    sources = [model.source for model in registry.models.values()]
    assert sources == [
        Endpoint(url="https://x/v1", model="m", api="completions", limits=asked),
        Gemini(model="g", url="http://proxy", limits=asked),
        Local(path="a/b", backend="vllm"),
    ]


def test_how_a_model_is_asked(read: Read) -> None:
    """Of any kind, as far as it means something there; what is not said is not part of what a model is."""
    models = read(
        """
        [models.local]
        path = "a/b"
        thinking = false
        system = "Be brief."
        thinking_tokens = 9
        thinking_tags = ["<a>", "</a>"]
        template_arguments = { effort = "low", tools = [] }
        [models.served]
        endpoint = "http://x"
        model = "x"
        thinking = true
        [models.gemini]
        gemini = "g"
        system = "Be brief."
        [models.plain]
        path = "a/b"
        """
    ).models
    assert {
        "thinking": False,
        "template_arguments": {"effort": "low", "tools": []},
        "system": "Be brief.",
        "thinking_tokens": 9,
        "thinking_tags": ("<a>", "</a>"),
    } == models["local"].chat_settings
    assert {"thinking": True} == models["served"].chat_settings
    assert {"system": "Be brief."} == models["gemini"].chat_settings
    assert {} == models["plain"].chat_settings


def test_a_folder_that_is_there_wins_over_a_hub_id(read: Read, tmp_path: Path) -> None:
    """`a/b` is a folder only if it exists beside the file; `./a` and `/a` always are."""
    (tmp_path / "here" / "model").mkdir(parents=True)
    registry = read("""
        [models.there]
        path = "here/model"
        [models.hub]
        path = "org/model"
        [models.dotted]
        path = "./later"
        [models.above]
        path = "../later"
        [models.rooted]
        path = "/srv/model"
    """)
    paths = [model.source.path for model in registry.models.values() if isinstance(model.source, Local)]
    assert [
        f"{tmp_path}/here/model",
        "org/model",
        f"{tmp_path}/later",
        f"{tmp_path}/../later",
        "/srv/model",
    ] == paths


def test_a_pipeline_has_its_stages_in_order_and_whole(read: Read, tmp_path: Path) -> None:
    """Settings hold every setting of the kind, defaults included; data is always a tuple, as written."""
    (tmp_path / "mix.jsonl").touch()
    pipeline = read("""
        [pipelines.base]
        [[pipelines.base.stages]]
        kind = "pretrain"
        data = "toy:corpus"
        [pipelines.sft]
        base = "base"
        [[pipelines.sft.stages]]
        kind = "sft"
        data = ["org/rows", "mix.jsonl"]
        epochs = 16
        learning_rate = 1
        [[pipelines.sft.stages]]
        kind = "grpo"
        reward = "my.rewards:short"
    """).pipelines["sft"]
    defaults = Sft().model_dump(mode="json")
    expected = Pipeline(
        name="sft",
        base="base",
        stages=(
            Stage(
                kind="sft",
                data=("org/rows", "mix.jsonl"),
                settings={**defaults, "epochs": 16, "learning_rate": 1.0},
            ),
            Stage(kind="grpo", reward="my.rewards:short", settings=defaults),
        ),
    )
    assert expected == pipeline


def test_suite_settings_are_whole_and_their_paths_absolute(read: Read, tmp_path: Path) -> None:
    """A suite does not know the file's folder. A name, such as a pipeline's, is left alone."""
    (tmp_path / "questions.jsonl").touch()
    suites = read("""
        [suites.truthfulqa]
        data = "questions.jsonl"
        classifier = "./classifier"
        [suites.ifeval]
        classifier = "toxicity"
        [suites."lm_eval:hellaswag"]
        num_fewshot = 5
    """).suites
    assert {
        "truthfulqa": {
            "data": f"{tmp_path}/questions.jsonl",
            "limit": None,
            "classifier": f"{tmp_path}/classifier",
        },
        "ifeval": {"data": None, "limit": None, "classifier": "toxicity"},
        "lm_eval:hellaswag": {"num_fewshot": 5},
    } == suites


def test_a_suite_in_several_ways(read: Read, tmp_path: Path) -> None:
    """`SUITE:LABEL` is the suite with settings of its own, checked and completed as the suite's are."""
    (tmp_path / "hard.jsonl").touch()
    registry = read("""
        [suites.ifeval]
        limit = 3
        [suites."ifeval:hard"]
        data = "hard.jsonl"
        [compare]
        suites = ["ifeval", "ifeval:hard"]
    """)
    assert {
        "ifeval": {"data": None, "limit": 3, "classifier": "original"},
        "ifeval:hard": {"data": f"{tmp_path}/hard.jsonl", "limit": None, "classifier": "original"},
    } == registry.suites
    assert ("ifeval", "ifeval:hard") == registry.compare.suites


def test_a_suite_of_several_files(tmp_path: Path) -> None:
    """Files by task become absolute, as one file does; one that is not there is named with its key."""
    (tmp_path / "piqa.jsonl").write_text("{}")
    file = tmp_path / "harness.toml"
    file.write_text('[suites.general]\nmargin = 0.02\n[suites.general.data]\npiqa = "piqa.jsonl"\n')
    expected = {"data": {"piqa": str(tmp_path / "piqa.jsonl")}, "margin": 0.02}
    assert {"general": expected} == load(file, STAGES, GENERAL).suites
    file.write_text('[suites.general.data]\npiqa = "none.jsonl"\n')
    with pytest.raises(ConfigError, match=r"suites\.general\.data\.piqa: there is no file .*none\.jsonl"):
        load(file, STAGES, GENERAL)


def test_compare_names_suites_judges_and_baseline(read: Read) -> None:
    """A suite of lm-eval needs no section."""
    compare = read("""
        [models.a]
        path = "org/a"
        [compare]
        suites = ["ifeval", "lm_eval:hellaswag"]
        judges = ["a"]
        baseline = "a"
        level = 0.9
        resamples = 500
    """).compare
    expected = Compare(
        suites=("ifeval", "lm_eval:hellaswag"), judges=("a",), baseline="a", level=0.9, resamples=500
    )
    assert expected == compare


@pytest.mark.parametrize("reward", ["rm", "scorer", "package.module:function"])
def test_a_reward_is_a_pipeline_a_model_or_a_function(read: Read, reward: str) -> None:
    """All three are accepted, in `reward` and in the setting `rewards`."""
    registry = read(f"""
        [models.base]
        path = "org/base"
        [models.scorer]
        path = "org/scorer"
        [pipelines.rm]
        base = "base"
        stages = [{{ kind = "reward" }}]
        [pipelines.grpo]
        base = "base"
        [[pipelines.grpo.stages]]
        kind = "grpo"
        reward = "{reward}"
        rewards = [{{ name = "{reward}" }}]
    """)
    assert reward == registry.pipelines["grpo"].stages[0].reward


def test_a_candidate_is_a_model_or_a_pipeline(read: Read) -> None:
    """Both are found by name, and a wrong name proposes the nearest of both."""
    registry = read("""
        [models.base]
        path = "org/base"
        [pipelines.sft]
        base = "base"
        stages = [{ kind = "sft" }]
    """)
    assert registry.models["base"] == registry.candidate("base")
    assert registry.pipelines["sft"] == registry.candidate("sft")
    with pytest.raises(UnknownName) as caught:
        registry.candidate("stf")
    assert str(caught.value) == "there is no model or pipeline named 'stf'; did you mean 'sft'?"


# ---------------------------------------------------------------- files that cannot be read


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[project]\nseed = \n",
            "line 2, column 8: is not TOML: invalid value",
        ),
        (
            '[project]\nlabel = "a\n',
            "line 2, column 11: is not TOML: illegal character '\\n'",
        ),
        (
            "[project]\nseed = [1,\n",
            "line 2, the end: is not TOML: invalid value",
        ),
        (
            "[models.a]\n[models.a]\n",
            "line 2, column 10: is not TOML: cannot declare ('models', 'a') twice",
        ),
    ],
)
def test_broken_toml_tells_its_line_and_column(mistakes: Mistakes, text: str, message: str) -> None:
    """The place stands where otherwise the key does."""
    assert [message] == mistakes(text)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """So is anything else that the system says about it."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "none.toml", STAGES, SUITES)
    assert f"{tmp_path}/none.toml: cannot be read: No such file or directory" == str(caught.value)


def test_a_file_in_another_encoding_is_told(tmp_path: Path) -> None:
    """TOML is UTF-8."""
    file = tmp_path / "harness.toml"
    file.write_bytes(b'label = "\xe4"')
    with pytest.raises(ConfigError) as caught:
        load(file, STAGES, SUITES)
    assert f"{file}: line 1: is not UTF-8 text (0xe4, byte 10 of the line)" in str(caught.value)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    """Some editors write one."""
    file = tmp_path / "harness.toml"
    file.write_bytes(b"\xef\xbb\xbf[project]\nseed = 3\n")
    assert load(file, STAGES, SUITES).project.seed == 3


def test_rows_may_lie_among_the_official_data(tmp_path: Path) -> None:
    """A stage's file that the project lacks is no mistake where the folder of official data has it."""
    file = tmp_path / "harness.toml"
    file.write_text(stage("data = 'sft/rows.jsonl'"), encoding="utf-8")
    official = tmp_path / "official"
    with pytest.raises(
        ConfigError, match=r"there is no file .*sft/rows\.jsonl or .*official/sft/rows\.jsonl"
    ):
        load(file, STAGES, SUITES, data_root=official)

    (official / "sft").mkdir(parents=True)
    (official / "sft/rows.jsonl").write_text('{"text": "a"}')
    assert ("sft/rows.jsonl",) == load(file, STAGES, SUITES, data_root=official).pipelines["p"].stages[0].data


def test_a_pipeline_may_have_a_seed(read: Read) -> None:
    """Without one it is the project's."""
    with_seed = stage("data = 'org/rows'").replace('base = "base"\n[[', 'base = "base"\nseed = 2\n[[')
    assert 2 == read(with_seed).pipelines["p"].seed
    assert read(stage("data = 'org/rows'")).pipelines["p"].seed is None


def test_a_pipelines_candidate_may_have_a_number_format(read: Read) -> None:
    """Without one it is asked in its own."""
    narrow = stage("data = 'org/rows'").replace('base = "base"\n[[', 'base = "base"\ndtype = "bfloat16"\n[[')
    assert "bfloat16" == read(narrow).pipelines["p"].dtype
    assert "auto" == read(stage("data = 'org/rows'")).pipelines["p"].dtype


# ---------------------------------------------------------------- mistakes in sections

BASE = '[models.base]\npath = "org/base"\n'


def stage(lines: str, name: str = "p") -> str:
    """A pipeline of one stage of kind sft with these lines."""
    return f'{BASE}[pipelines.{name}]\nbase = "base"\n[[pipelines.{name}.stages]]\nkind = "sft"\n{lines}\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model.a]", "model: unknown section; did you mean 'models'?"),
        (
            "zebra = 1",
            "zebra: unknown section; known: compare, data, gate, judge, models, pipelines, prices, "
            "project, run, suites",
        ),
        ("project = 1", "project: expected a table [project], got 1"),
        ('[models]\na = "x"', 'models.a: expected a table [models.NAME], got "x"'),
        ('[project]\nstor = "x"', "project.stor: unknown key; did you mean 'store'?"),
        ('[project]\nseed = "three"', 'project.seed: expected a whole number, got "three"'),
        ('[project]\nseed = "3"', 'project.seed: expected a whole number, got "3"'),
        ("[project]\nseed = 1.0", "project.seed: expected a whole number, got 1.0"),
        ("[project]\nseed = true", "project.seed: expected a whole number, got true"),
        ("[project]\nseed = -1", "project.seed: expected 0 or more, got -1"),
        ("[project]\nlabel = 2026-11-01", None),
        ("[project]\noutput = [1]", "project.output: expected text, got a list"),
        (
            '[project]\nstore = "harness.db"',
            'project.store: expected a database URL such as "sqlite:///harness.db", got "harness.db"',
        ),
        ("[compare]\nlevel = 95", "compare.level: expected less than 1, got 95"),
        ("[compare]\nresamples = 0", "compare.resamples: expected more than 0, got 0"),
        ('[compare]\nsuites = "ifeval"', 'compare.suites: expected a list, got "ifeval"'),
        ('[compare]\nsuites = ["ifeval", 3]', "compare.suites[1]: expected text, got 3"),
        (
            '[compare]\nsuites = ["truthfullqa"]',
            "compare.suites[0]: there is no suite named 'truthfullqa'; did you mean 'truthfulqa'?",
        ),
        (
            '[compare]\nsuites = ["lm_eval"]',
            "compare.suites[0]: there is no suite named 'lm_eval'; did you mean 'lm_eval:NAME'?",
        ),
        (
            '[suites."ifeval:"]',
            "suites.\"ifeval:\": there is no suite named 'ifeval:'; did you mean 'ifeval'?",
        ),
        ('[suites."ifeval:x"]\nlimmit = 3', "suites.\"ifeval:x\".limmit: unknown key; did you mean 'limit'?"),
        (
            '[suites."ifeval:x"]\n[compare]\nsuites = ["ifeval:x", "ifeval:y"]',
            'compare.suites[1]: a label needs a section with its settings, [suites."ifeval:y"]',
        ),
        (
            "[suites.zzz]",
            "suites.zzz: there is no suite named 'zzz'; known: ifeval, lm_eval:NAME, truthfulqa",
        ),
        ("[suites.ifeval]\nlimmit = 3", "suites.ifeval.limmit: unknown key; did you mean 'limit'?"),
        (
            '[suites."lm_eval:x"]\nnum_fewshots = 3',
            "suites.\"lm_eval:x\".num_fewshots: unknown key; did you mean 'num_fewshot'?",
        ),
        ("[prices]\ncurrencies = 1", "prices.currencies: unknown key; did you mean 'currency'?"),
        ("[prices]\ncurrency = 1", "prices.currency: expected text, got 1"),
        (
            "[prices.mm]\ninput = 1\noutput = 2",
            "prices.mm: there is no model or pipeline named 'mm'; none is defined",
        ),
        (
            '[suites.ifeval]\ndata = "none.jsonl"',
            "suites.ifeval.data: there is no file HERE/none.jsonl",
        ),
    ],
)
def test_mistakes_in_small_sections(read: Read, mistakes: Mistakes, text: str, message: str | None) -> None:
    """One line each: the key, what is wrong, the nearest right name. A date may stand for its text."""
    if message is None:
        assert read(text).project.label == "2026-11-01"
    else:
        assert [message] == mistakes(text)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "models.m: it needs one of 'path', 'endpoint', 'gemini', 'engine', 'answers'"),
        (
            'path = "a/b"\nendpoint = "http://x"',
            "models.m: 'path' and 'endpoint' exclude each other; keep one",
        ),
        ('pth = "a/b"', "models.m.pth: unknown key; did you mean 'path'?"),
        ('path = "a/b"\nrevison = "c"', "models.m.revison: unknown key; did you mean 'revision'?"),
        ("path = 3", "models.m.path: expected text, got 3"),
        (
            'path = "a/b"\ndtype = "bfloat"',
            "models.m.dtype: there is no choice \"bfloat\"; did you mean 'bfloat16'?",
        ),
        (
            'path = "a/b"\ndtype = 16',
            "models.m.dtype: expected 'auto', 'float32', 'bfloat16' or 'float16', got 16",
        ),
        ('path = "a/b"\ntrust_remote_code = 1', "models.m.trust_remote_code: expected true or false, got 1"),
        (
            'path = "a/b"\nchat_template = "none.jinja"',
            "models.m.chat_template: HERE/none.jinja: cannot be read: No such file or directory",
        ),
        ('endpoint = "http://x"', "models.m.model: this key is needed"),
        (
            'endpoint = "localhost:8000"\nmodel = "x"',
            'models.m.endpoint: expected an address such as "http://localhost:8000/v1", got "localhost:8000"',
        ),
        (
            'endpoint = "https://me:secret@x/v1"\nmodel = "x"',
            "models.m.endpoint: no name or password in an address; put a key into a variable, named by "
            "`key_env`",
        ),
        *(
            (
                f'endpoint = "https://x/v1?api-version=2024-10-21&{parameter}"\nmodel = "x"',
                "models.m.endpoint: no key in an address; put it into a variable, named by `key_env`",
            )
            for parameter in (
                "key=secret",
                "api_key=secret",
                "API-KEY=secret",
                "subscription-key=secret",
                "access_token=secret",
                "sig=secret",
                "x=sk-secret",
                "x=0secret1secret2secret3",
                "key=",
            )
        ),
        (
            'endpoint = "http://x"\nmodel = "x"\napi = "chats"',
            "models.m.api: there is no choice \"chats\"; did you mean 'chat'?",
        ),
        (
            'endpoint = "http://x"\nmodel = "x"\nconcurrency = 0',
            "models.m.concurrency: expected 1 or more, got 0",
        ),
        ('gemini = "g"\ntimeout = 0', "models.m.timeout: expected more than 0, got 0"),
        ('gemini = "g"\nretries = -1', "models.m.retries: expected 0 or more, got -1"),
        (
            'path = "a/b"\nbackend = "vlm"',
            "models.m.backend: there is no choice \"vlm\"; did you mean 'vllm'?",
        ),
        ('gemini = "g"\nkey = "x"', "models.m.key: unknown key; did you mean 'key_env'?"),
        ('engine = "e"\nsettings = 3', "models.m.settings: expected a table, got 3"),
        ('path = "a/b"\nthinking = "on"', 'models.m.thinking: expected true or false, got "on"'),
        ('path = "a/b"\nthinking_tokens = 0', "models.m.thinking_tokens: expected 1 or more, got 0"),
        ('path = "a/b"\nsystem = " "', "models.m.system: is empty; leave it out for no system prompt"),
        (
            'path = "a/b"\nthinking_tags = ["<a>"]',
            'models.m.thinking_tags: expected an opening and a closing tag, such as ["<think>", "</think>"]',
        ),
        (
            'path = "a/b"\ntemplate_arguments = { strftime_now = "today" }',
            "models.m.template_arguments: `strftime_now` is no argument of a template: harness sets it",
        ),
        (
            'path = "a/b"\ntemplate_arguments = { tokenize = true }',
            "models.m.template_arguments: `tokenize` is no argument of a template: harness sets it",
        ),
        (
            'endpoint = "http://x"\nmodel = "x"\napi = "completions"\nsystem = "s"',
            'models.m.system: this model takes no turns (`api = "completions"`)',
        ),
        (
            'gemini = "g"\nthinking = true',
            "models.m.thinking: this model is Gemini's, whose interface lacks it",
        ),
        (
            'engine = "e"\ntemplate_arguments = { a = 1 }',
            "models.m.template_arguments: this model has its own engine: put it into `settings`",
        ),
    ],
)
def test_mistakes_in_models(mistakes: Mistakes, lines: str, message: str) -> None:
    """Each names the key, and a misspelt kind of model is told as a misspelt key."""
    assert [message] == mistakes(f"[models.m]\n{lines}")


@pytest.mark.parametrize("secret", ["sk-proj-12345", "AIzaSyD3adb33f", "hf_abcdef", "my key"])
def test_a_key_in_the_file_is_refused_and_not_repeated(mistakes: Mistakes, secret: str) -> None:
    """`key_env` names a variable; what looks like a key itself must not reach a terminal's log either."""
    assert mistakes(f'[models.m]\ngemini = "g"\nkey_env = "{secret}"') == [
        "models.m.key_env: this is no name of an environment variable; put the key itself into a variable "
        "and name that variable here, never the key"
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('epochs = "three"', 'epochs: expected a whole number, got "three"'),
        ("epochs = 0", "epochs: expected more than 0, got 0"),
        ("epoch = 3", "epoch: unknown key; did you mean 'epochs'?"),
        ("dat = 'x'", "dat: unknown key; did you mean 'data'?"),
        ('learning_rate = "fast"', 'learning_rate: expected a number, got "fast"'),
        ("packed = 1", "packed: expected true or false, got 1"),
        ("schedule = 'cosin'", "schedule: there is no choice \"cosin\"; did you mean 'cosine'?"),
        ("schedule = 'zzz'", 'schedule: there is no choice "zzz"; known: cosine, linear'),
        ("loss = 'sigmoid'", 'loss: expected a list, got "sigmoid"'),
        ("loss = ['a', 1]", "loss[1]: expected text, got 1"),
        ("length = 1.5", "length: expected a whole number or text, got 1.5"),
        (
            "rewards = [{ name = 'a/b', wieght = 1 }]",
            "rewards[0].wieght: unknown key; did you mean 'weight'?",
        ),
        ("rewards = [{ weight = 1 }]", "rewards[0].name: this key is needed"),
        ("rewards = [3]", "rewards[0]: expected a table, got 3"),
        ("data = 3", "data: expected text or a list, got 3"),
        ("data = ['org/rows', 3]", "data[1]: expected text, got 3"),
        ("data = 'none.jsonl'", "data: there is no file HERE/none.jsonl"),
        ("data = ['org/rows', './none']", "data[1]: there is no file HERE/none"),
        ("reward = ['a', 'b']", "reward: expected text, got a list"),
        (
            "reward = 'org/reward-model'",
            "reward: there is no model or pipeline named 'org/reward-model'; known: base, p",
        ),
        (
            "reward = 'bsae'",
            "reward: there is no model or pipeline named 'bsae'; did you mean 'base'?",
        ),
        (
            "rewards = [{ name = 'bsae' }]",
            "rewards[0].name: there is no model or pipeline named 'bsae'; did you mean 'base'?",
        ),
    ],
)
def test_mistakes_in_a_stage(mistakes: Mistakes, lines: str, message: str) -> None:
    """The settings' model of the stage's kind decides; the key counts stages from 0."""
    assert [f"pipelines.p.stages[0].{message}"] == mistakes(stage(lines))


def test_settings_that_contradict_each_other(mistakes: Mistakes) -> None:
    """What a settings' model refuses as a whole is told at the stage."""
    assert mistakes(stage("batch_size = 16\nmicro_batch = 5")) == [
        "pipelines.p.stages[0]: micro_batch must divide batch_size"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[pipelines.p]\nbase = "base"',
            "pipelines.p.stages: a pipeline needs a stage: [[pipelines.p.stages]]",
        ),
        ('[pipelines.p]\nbase = "base"\nstages = "sft"', 'pipelines.p.stages: expected a list, got "sft"'),
        (
            '[pipelines.p]\nbase = "base"\nstages = ["sft"]',
            'pipelines.p.stages[0]: expected a table, got "sft"',
        ),
        (
            '[pipelines.p]\nbase = "base"\nstages = [{ epochs = 3 }]',
            "pipelines.p.stages[0].kind: this key is needed",
        ),
        (
            '[pipelines.p]\nbase = "base"\nstages = [{ kind = "ppo" }]',
            "pipelines.p.stages[0].kind: TRL has removed PPO; `rloo` and `grpo` take the same rewards",
        ),
        (
            '[pipelines.p]\nbase = "base"\nstages = [{ kind = "grop" }]',
            "pipelines.p.stages[0].kind: there is no kind of stage named 'grop'; did you mean 'grpo'?",
        ),
        (
            '[pipelines.p]\nbas = "base"\nstages = [{ kind = "pretrain" }]',
            "pipelines.p.bas: unknown key; did you mean 'base'?",
        ),
        (
            '[pipelines.p]\nstages = [{ kind = "sft" }]',
            "pipelines.p.base: a pipeline whose first stage is 'sft' needs a model or pipeline as its base",
        ),
        (
            '[pipelines.p]\nbase = "bese"\nstages = [{ kind = "sft" }]',
            "pipelines.p.base: there is no model or pipeline named 'bese'; did you mean 'base'?",
        ),
        (
            '[models.g]\ngemini = "g"\n[pipelines.p]\nbase = "g"\nstages = [{ kind = "sft" }]',
            "pipelines.p.base: model 'g' has no 'path', and training needs a folder or hub id",
        ),
        (
            '[pipelines.p]\nbase = "base"\nstages = [{ kind = "sft" }]\n'
            '[pipelines.q]\nbase = "p"\nstages = [{ kind = "grpo", reward = "p" }]',
            "pipelines.q.stages[0].reward: pipeline 'p' ends in the stage 'sft', not in 'reward'",
        ),
        (
            '[pipelines.base]\nbase = "base"\nstages = [{ kind = "sft" }]',
            "pipelines.base: a model has this name too; rename one of them",
        ),
        (
            '[pipelines.stages]\nbase = "base"\nstages = [{ kind = "sft" }]',
            "pipelines.stages: the stages' folder has this name; choose another",
        ),
        (
            '[pipelines.bases]\nbase = "base"\nstages = [{ kind = "sft" }]',
            "pipelines.bases: the bases' folder has this name; choose another",
        ),
        (
            '[compare]\nbaseline = "bsae"',
            "compare.baseline: there is no model or pipeline named 'bsae'; did you mean 'base'?",
        ),
        (
            '[compare]\njudges = ["base", "bsae"]',
            "compare.judges[1]: there is no model or pipeline named 'bsae'; did you mean 'base'?",
        ),
    ],
)
def test_mistakes_between_names(mistakes: Mistakes, text: str, message: str) -> None:
    """A name must be defined, once, and be what the place needs."""
    lines = [line for line in mistakes(BASE + text) if "a cycle" not in line]
    assert [message] == lines


def test_a_cycle_of_bases_is_shown(mistakes: Mistakes) -> None:
    """The circle is told once, from its first name back to it."""
    text = "".join(
        f'[pipelines.{name}]\nbase = "{base}"\nstages = [{{ kind = "sft" }}]\n'
        for name, base in [("start", "a"), ("a", "b"), ("b", "c"), ("c", "a")]
    )
    assert mistakes(text) == ["pipelines.c.base: pipelines form a cycle: a → b → c → a"]


def test_a_pipeline_that_starts_from_itself(mistakes: Mistakes) -> None:
    """The smallest cycle."""
    assert mistakes('[pipelines.a]\nbase = "a"\nstages = [{ kind = "sft" }]') == [
        "pipelines.a.base: pipelines form a cycle: a → a"
    ]


def test_a_cycle_through_a_reward_is_shown(mistakes: Mistakes) -> None:
    """A reward must be trained first, like a base."""
    assert mistakes(
        f"{BASE}"
        '[pipelines.a]\nbase = "base"\nstages = [{ kind = "grpo", reward = "rm" }]\n'
        '[pipelines.rm]\nbase = "a"\nstages = [{ kind = "reward" }]\n'
    ) == ["pipelines.rm.base: pipelines form a cycle: a → rm → a"]


@pytest.mark.parametrize("name", ["", ".", "..", "-p", ".p", "a b", "a/b", "ä", "a:b", "p\\n"])
def test_names_must_suit_a_command_line_and_a_folder(mistakes: Mistakes, name: str) -> None:
    """Letters, digits, `-`, `_` and `.`, not beginning with what a shell or `ls` would take amiss."""
    rule = (
        "a name is made of letters (a to z), digits, '-', '_' and '.', "
        "and begins with a letter, a digit or '_'"
    )
    (line,) = mistakes(f'[models."{name}"]\npath = "a/b"')
    assert line.endswith(f": {rule}")


@given(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True))
def test_every_other_name_is_accepted(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """The rule refuses nothing else."""
    file = tmp_path_factory.getbasetemp() / "names.toml"
    file.write_text(f'[models."{name}"]\npath = "a/b"\n', encoding="utf-8")
    assert [name] == list(load(file, STAGES, SUITES).models)


def test_all_mistakes_are_told_at_once(mistakes: Mistakes) -> None:
    """One line each, and what follows from a mistake is not told as another: `p` is defined, if badly."""
    assert mistakes(
        "[project]\nseed = 'one'\n"
        + stage("epoch = 1\npacked = 1")
        + "[pipelines.q]\nbase = 'x'\nstages = [{ kind = 'sft' }]\n"
        + "[compare]\nsuites = ['ifevall']\nbaseline = 'p'\n"
    ) == [
        'project.seed: expected a whole number, got "one"',
        "pipelines.p.stages[0].packed: expected true or false, got 1",
        "pipelines.p.stages[0].epoch: unknown key; did you mean 'epochs'?",
        "pipelines.q.base: there is no model or pipeline named 'x'; known: base, p, q",
        "compare.suites[0]: there is no suite named 'ifevall'; did you mean 'ifeval'?",
    ]


def test_a_long_value_is_shortened(mistakes: Mistakes) -> None:
    """A message stays a line."""
    assert [f'project.seed: expected a whole number, got "{"x" * 56}…'] == mistakes(
        f'[project]\nseed = "{"x" * 500}"'
    )


# ---------------------------------------------------------------- judges and prices

PRICED = """
[models.m]
path = "m"
"""


class Judging(Strict):
    order: Literal["both", "one"] = "both"


def test_how_judges_are_asked_is_read_whole(tmp_path: Path) -> None:
    """Defaults included, as the model that is handed in has them; without one the section is not read."""
    file = tmp_path / "harness.toml"
    file.write_text('[judge]\norder = "one"')
    assert {"order": "one"} == load(file, STAGES, SUITES, judge=Judging).judge
    assert {} == load(file, STAGES, SUITES).judge
    file.write_text("")
    assert {"order": "both"} == load(file, STAGES, SUITES, judge=Judging).judge
    file.write_text('[judge]\norders = "one"')
    with pytest.raises(ConfigError, match=r"judge\.orders: unknown key; did you mean 'order'"):
        load(file, STAGES, SUITES, judge=Judging)


def test_prices(read: Read) -> None:
    """Per million tokens, of what is asked and of what is replied."""
    prices = read(f'{PRICED}[prices]\ncurrency = "EUR"\n[prices.m]\ninput = 0.3\noutput = 2').prices
    assert Prices(currency="EUR", of={"m": TokenPrice(input=0.3, output=2.0)}) == prices
    assert 0.3 + 4 == prices.of["m"].of(1_000_000, 2_000_000)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("input = 1", "prices.m.output: this key is needed"),
        ("input = -1\noutput = 1", "prices.m.input: expected 0 or more, got -1"),
        ('input = "1"\noutput = 1', 'prices.m.input: expected a number, got "1"'),
        ("input = 1\noutput = 1\nimput = 1", "prices.m.imput: unknown key; did you mean 'input'?"),
    ],
)
def test_mistakes_in_a_price(mistakes: Mistakes, lines: str, message: str) -> None:
    """Each is told with its key."""
    assert [message] == mistakes(f"{PRICED}[prices.m]\n{lines}")

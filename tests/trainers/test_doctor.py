"""Each known mistake, planted on purpose, is found with its evidence and place; right stages have none."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorForLanguageModeling
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling as TrlCollator

from harness.records.models import Local, Model, Stage
from tests.tiny_models import BOS, EOS, TURN_END, tiny_adapter, tiny_gguf, tiny_llama
from tests.trainers.test_adapters import ADAPTER
from tests.trainers.test_stages import CASE, DPO, GRPO
from tests.trainers.world import World, pipeline, stage, write_rows
from trainers.contamination import Index
from trainers.doctor import examination
from trainers.doctor.contaminated import contamination_check
from trainers.doctor.examination import examine
from trainers.doctor.findings import DoctorFinding
from trainers.doctor.inspected_stage import InspectedStage, ReadRow
from trainers.doctor.loss import ends, padding_in
from trainers.doctor.models import examine_model
from trainers.doctor.preferences import PairwiseAccuracy, no_better_than_chance, training_accuracy
from trainers.doctor.ranges import SMALLEST, TYPICAL_SETTINGS, typical_rates
from trainers.pipeline import produce
from trainers.planning import PlannedStage, plan
from trainers.reward_quality import ScoredPair, accuracy
from trainers.sizes import ModelSize
from trainers.stage_settings import STAGE_SETTINGS

RIGHT: dict[str, Stage] = {
    "sft": stage("sft", "sft.jsonl", epochs=2, learning_rate=5e-3),
    "adapter": stage("sft", "sft.jsonl", epochs=2, learning_rate=2e-2, adapter=ADAPTER),
    "reward": stage("reward", "pairs.jsonl", epochs=2, learning_rate=5e-3),
    "grpo": stage("grpo", "prompts.jsonl", "reward", **{**GRPO, "checkpoint_steps": 1}),
    "rloo": stage("rloo", "prompts.jsonl", CASE, **{**GRPO, "checkpoint_steps": 1}),
    "dpo": stage("dpo", "pairs.jsonl", **DPO),
    "own": stage("dpo", "prompts.jsonl", CASE, on_policy=2, **DPO),
}


def planned(
    world: World, asked: Stage, base: str = "sft", models: Mapping[str, Model] | None = None
) -> list[PlannedStage]:
    """The plan of a pipeline of this one stage."""
    return world.plan("inspected", pipeline("inspected", base, asked), models=models or {})


def found(
    world: World, asked: Stage, base: str = "sft", models: Mapping[str, Model] | None = None
) -> dict[str, DoctorFinding]:
    """What the doctor finds in this stage, by the check."""
    stages = planned(world, asked, base, models)
    return {finding.check: finding for finding in examine(stages[-1]).findings}


def found_after(world: World, name: str, asked: Stage) -> dict[str, DoctorFinding]:
    """What the doctor finds in this stage when it is trained."""
    trained = pipeline(name, "sft", asked)
    world.produce(name, trained)
    return {finding.check: finding for finding in examine(world.plan(name, trained)[-1]).findings}


def graver(findings: Mapping[str, DoctorFinding]) -> set[str]:
    """Those that are more than notes."""
    return {name for name, finding in findings.items() if finding.severity != "note"}


def changed(world: World, template: str) -> Mapping[str, Model]:
    """The base under another name, with another chat template."""
    return {
        "other": Model(name="other", source=Local(path=str(world.produce("sft"))), chat_template=template)
    }


def template_of(world: World) -> str:
    """The chat template of the world's models."""
    return str(AutoTokenizer.from_pretrained(world.produce("sft")).chat_template)


@pytest.mark.parametrize("kind", list(RIGHT))
def test_nothing_is_found_in_right_stages(world: World, kind: str) -> None:
    """A doctor that cries wolf is not listened to."""
    assert set() == graver(found(world, RIGHT[kind]))


def _model(name: str, folder: Path) -> Model:
    return Model(name=name, source=Local(path=str(folder)))


# ---------------------------------------------------------------- the six mistakes


def test_a_training_elsewhere_without_a_checkpoint_per_epoch(world: World, tmp_path: Path) -> None:
    """16 epochs of 6 steps, saved every 500 steps as is transformers' default: one checkpoint is left."""
    folder = tmp_path / "elsewhere"
    shutil.copytree(world.produce("sft"), folder, ignore=shutil.ignore_patterns("checkpoints"))
    (folder / "checkpoint-96").mkdir()
    state = {"max_steps": 96, "num_train_epochs": 16, "save_steps": 500}
    (folder / "checkpoint-96/trainer_state.json").write_text(json.dumps(state))

    [finding] = examine_model(_model("elsewhere", folder)).findings
    assert "no checkpoint per epoch" == finding.check
    assert "16 epochs of 6 steps with a checkpoint every 500 left 1" in finding.evidence


@pytest.mark.parametrize(
    "completion", ["a cat<|end|><|user|>Name a dog", "a cat\n\nHuman: Name a dog\n\nAssistant: a dog"]
)
def test_later_turns_in_the_label(world: World, completion: str) -> None:
    """The model would learn to play the user, whether turns are the template's or a transcript's."""
    rows = [{"prompt": "Name a cat", "completion": completion}, {"prompt": "Name a dog", "completion": "dog"}]
    write_rows(world.root / "leaking.jsonl", rows)
    finding = found(world, stage("sft", "leaking.jsonl", learning_rate=5e-3))["later turns in the loss"]

    assert ("error", "pipelines.inspected.stages[0].data") == (finding.severity, finding.where)
    assert "1 of 2 rows" in finding.evidence
    assert "Name a dog" in finding.evidence


def test_padding_in_the_loss(world: World) -> None:
    """transformers' generic collator with padding = end of sequence drops every end; TRL's does not."""
    inspected = InspectedStage(planned(world, RIGHT["sft"])[-1])
    tokenizer = inspected.tokenizer
    tokenizer.pad_token = tokenizer.eos_token
    rows = [ReadRow(prompt=(), prompt_ids=(5, 6), learned=((7, tokenizer.eos_token_id),))] * 2

    def generic(features: list[dict[str, Any]]) -> Mapping[str, Any]:
        collate = DataCollatorForLanguageModeling(tokenizer, mlm=False)
        return collate([{"input_ids": feature["input_ids"]} for feature in features])

    [finding] = padding_in(inspected, rows, generic)
    assert "padding in the loss" == finding.check
    assert "the same token" in finding.evidence
    assert [] == list(padding_in(inspected, rows, TrlCollator(pad_token_id=tokenizer.pad_token_id)))


@pytest.mark.parametrize(("kind", "usual"), [("grpo", 0.04), ("rloo", 0.05)])
def test_no_kl_penalty(world: World, kind: str, usual: float) -> None:
    """With the line that mends it."""
    finding = found(world, stage(kind, "prompts.jsonl", CASE, **GRPO, beta=0))["no KL penalty"]

    assert (f"beta = {usual}", "pipelines.inspected.stages[0].beta") == (finding.fix, finding.where)


@pytest.mark.parametrize("kind", ["sft", "grpo", "dpo"])
def test_a_policy_trained_without_its_chat_template(world: World, kind: str) -> None:
    """The first token that differs is shown as trained and as asked."""
    right = RIGHT[kind]
    raw = Stage(
        kind=kind, data=right.data, reward=right.reward, settings={**right.settings, "chat_template": False}
    )
    finding = found(world, raw)["trained without the chat template"]

    assert ("error", "chat_template = true") == (finding.severity, finding.fix)
    assert "asked with '<|user|>" in finding.evidence


def test_many_epochs(world: World) -> None:
    """Reward models preferred the overfitted checkpoints of 16 epochs."""
    finding = found(world, stage("sft", "sft.jsonl", epochs=16, learning_rate=5e-3))["many epochs"]

    assert "16 passes" in finding.evidence


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ({"by": "loss", "holdout": 0.1}, set()),
        ({"by": "reward", "reward": CASE, "prompts": "prompts.jsonl"}, {"many epochs"}),
    ],
)
def test_many_epochs_of_which_one_is_chosen(
    world: World, select: Mapping[str, Any], expected: set[str]
) -> None:
    """By what was held out, an overfitted checkpoint is not taken; a reward has been seen to take it."""
    asked = stage("sft", "sft.jsonl", epochs=16, learning_rate=5e-3, select=select)
    assert expected == graver(found(world, asked))


def test_steps_come_to_epochs(world: World) -> None:
    """48 rows in batches of 16 are read 16 times in 48 steps, whichever of the two is given."""
    finding = found(world, stage("sft", "sft.jsonl", steps=48, learning_rate=5e-3))["many epochs"]

    assert "16 passes" in finding.evidence
    assert finding.where.endswith(".steps")


@pytest.mark.parametrize(("settings", "key"), [({"epochs": 1}, "epochs"), ({"steps": 2}, "steps")])
def test_a_choice_of_one(world: World, settings: dict[str, Any], key: str) -> None:
    """One epoch leaves one checkpoint, unless some are kept within it."""
    select = {"by": "loss", "holdout": 0.1}
    asked = stage("dpo", "pairs.jsonl", select=select, **settings, **DPO)
    kept = stage("dpo", "pairs.jsonl", select=select, save_every=1, **settings, **DPO)
    finding = found(world, asked)["no checkpoints to choose from"]
    assert f"pipelines.inspected.stages[0].{key}" == finding.where
    assert "no checkpoints to choose from" not in found(world, kept)


# ---------------------------------------------------------------- and their like


def test_a_doubled_beginning(world: World) -> None:
    """A template that writes the beginning token twice."""
    models = changed(world, "{{ bos_token }}" + template_of(world))

    assert "beginning of sequence doubled" in found(world, RIGHT["sft"], "other", models)


def test_a_missing_chat_template(world: World, tmp_path: Path) -> None:
    """Turns that nothing can render."""
    base = tiny_llama(tmp_path / "bare", chat_template=None)
    models = {"bare": Model(name="bare", source=Local(path=str(base)))}

    assert "chat template missing" in found(world, RIGHT["sft"], "bare", models)


def test_a_reward_model_with_another_template(world: World) -> None:
    """It is shown answers otherwise than the policy wrote them; both templates are shown where they part."""
    models = changed(world, template_of(world).replace("<|assistant|>", "<|system|>"))
    finding = found(world, RIGHT["grpo"], "other", models)["reward model has another chat template"]

    assert "<|system|>" in finding.evidence


def test_a_template_without_generation_markers_is_a_note(world: World) -> None:
    """Nothing here needs them, and other tools do."""
    bare = template_of(world).replace("{% generation %}", "").replace("{% endgeneration %}", "")
    finding = found(world, RIGHT["sft"], "other", changed(world, bare))["no generation markers"]

    assert "note" == finding.severity


def test_an_end_that_is_never_learned(world: World) -> None:
    """Answers whose last token in the loss stops nothing."""
    inspected = InspectedStage(planned(world, RIGHT["sft"])[-1])
    inspected.__dict__["rows"] = [ReadRow(prompt=(), prompt_ids=(5,), learned=((7, 8),))]

    assert ["end of turn never learned"] == [finding.check for finding in ends(inspected)]


def test_an_end_that_is_never_stopped_on(world: World, tmp_path: Path) -> None:
    """The template ends a turn with a token that generation does not know as an end."""
    folder = tmp_path / "endless"
    shutil.copytree(world.produce("sft"), folder, ignore=shutil.ignore_patterns("checkpoints"))
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**settings, "eos_token_id": 5}))

    [finding] = examine_model(_model("endless", folder)).findings
    assert ("end of turn never stopped on", "error") == (finding.check, finding.severity)
    assert [] == list(examine_model(_model("sft", world.produce("sft"))).findings)


@pytest.mark.parametrize(("rate", "kind"), [(0.5, "sft"), (1e-9, "sft"), (0.5, "grpo")])
def test_a_learning_rate_far_outside_the_usual(world: World, rate: float, kind: str) -> None:
    """Too high or too low for the kind and the model's size."""
    right = RIGHT[kind]
    wild = Stage(
        kind=kind, data=right.data, reward=right.reward, settings={**right.settings, "learning_rate": rate}
    )
    finding = found(world, wild)["learning rate far outside the usual"]

    assert "pipelines.inspected.stages[0].learning_rate" == finding.where
    assert finding.fix.startswith("learning_rate = ")


@pytest.mark.parametrize("kind", list(TYPICAL_SETTINGS))
def test_adapters_and_whole_models_have_ranges_of_their_own(kind: str) -> None:
    """Each default is within its own range and outside the other's, from the smallest published model on."""
    settings = STAGE_SETTINGS[kind]
    defaults = (settings().learning_rate, settings.model_validate({"adapter": {}}).learning_rate)
    for size in (int(SMALLEST), 135_000_000, 8_000_000_000):
        whole, adapter = (typical_rates(kind, size, has_adapter=each) for each in (False, True))
        assert whole[0] < defaults[0] < whole[1] <= adapter[0] < defaults[1] < adapter[1]


@pytest.mark.parametrize(
    ("rate", "adapter", "is_found"),
    [
        (2e-5, ADAPTER, True),
        (2e-4, None, True),
        (2e-5, None, False),
        (None, None, False),
        (None, ADAPTER, False),
    ],
)
def test_a_rate_of_the_other_kind_is_found(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    rate: float | None,
    adapter: dict[str, Any] | None,
    is_found: bool,
) -> None:
    """A whole model's with an adapter, and the other way round; the defaults are right."""
    size = ModelSize(parameters=135_000_000, dtype="float32", other_files=0, shapes={})
    monkeypatch.setattr(InspectedStage, "size", size)
    given = {"learning_rate": rate, "adapter": adapter}
    asked = stage(
        "sft", "sft.jsonl", epochs=2, **{name: each for name, each in given.items() if each is not None}
    )
    finding = found(world, asked).get("learning rate far outside the usual")

    assert is_found == (finding is not None)
    if finding is not None:
        with_or_without = "with" if adapter else "without"
        assert f"on 135.0 million parameters {with_or_without} an adapter usually has" in finding.evidence


def test_a_stage_that_moved_almost_nothing(world: World) -> None:
    """Once it is trained, with its evidence; a stage that moved is quiet."""
    finding = found_after(world, "idle", stage("sft", "sft.jsonl", epochs=2, learning_rate=1e-9))[
        "moved almost nothing"
    ]
    assert ("warning", "pipelines.idle.stages[0].learning_rate") == (finding.severity, finding.where)
    assert (
        "0 of 32 greedy answers changed (0 of 16 to prompts of others); weights changed by "
        in finding.evidence
    )
    assert "learning_rate = 1e-06, or more steps" == finding.fix
    assert set() == graver(found_after(world, "moving", RIGHT["sft"]))


@pytest.mark.parametrize(("steps", "is_found"), [(3, True), (4, False)])
def test_rewards_without_signal(world: World, steps: int, is_found: bool) -> None:
    """In more than half of the steps, here the first two, no answer was better than another."""
    late = {**GRPO, "steps": steps, "checkpoint_steps": 1, "learning_rate": 1e-2}
    asked = stage("grpo", "prompts.jsonl", "tests.trainers.rewarding:late", **late)
    finding = found_after(world, f"late_{steps}", asked).get("rewards without signal")

    assert is_found == (finding is not None)
    if finding is not None:
        assert "in 2 of 3 steps no answer was better than another to its prompt" == finding.evidence
        assert f"pipelines.late_{steps}.stages[0].reward" == finding.where


def test_rows_that_are_left_out(world: World) -> None:
    """A tenth of the rows is too long; the length that would do is reported."""
    rows = [
        {"prompt": "Name a cat", "completion": "cat " * (60 if number % 10 == 0 else 1)}
        for number in range(40)
    ]
    write_rows(world.root / "long_tenth.jsonl", rows)
    finding = found(world, stage("sft", "long_tenth.jsonl", learning_rate=5e-3, max_length=60))[
        "rows left out"
    ]

    assert ("warning", True) == (finding.severity, "10% of the rows" in finding.evidence)
    assert int(finding.fix.removeprefix("max_length = ")) > 60


def test_a_reward_model_no_better_than_chance(world: World) -> None:
    """One whose head says the same of everything; the interval is over prompts, which have several pairs."""
    folder = world.produce(
        "blind_reward", pipeline("blind_reward", "base", stage("reward", "pairs.jsonl", epochs=1))
    )
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    torch.nn.init.zeros_(model.score.weight)
    model.save_pretrained(folder)
    judging = pipeline("blind_reward", "base", stage("reward", "pairs.jsonl", epochs=1))
    learning = pipeline("inspected", "sft", stage("grpo", "prompts.jsonl", "blind_reward", **GRPO))
    stages = plan(world.context(judging, learning), "inspected")
    findings = {finding.check: finding for finding in examine(stages[-1]).findings}

    assert "50% [31%, 69%] of 48 training pairs" in findings["reward model no better than chance"].evidence


def test_a_good_reward_model_is_measured(world: World) -> None:
    """How well it ranks stands in the examination although there is nothing to find."""
    stages = planned(world, RIGHT["grpo"])
    [reported] = (examine(stages[-1]).measured or {}).values()

    assert "of 48 training pairs right" in reported


def test_pairs_of_equal_answers(world: World) -> None:
    """They teach nothing; where all are equal there is only one class."""
    rows = [{"prompt": "Name a cat", "chosen": "cat", "rejected": "cat "} for _ in range(4)]
    write_rows(world.root / "equal.jsonl", rows)
    finding = found(world, stage("reward", "equal.jsonl", learning_rate=5e-3))["nothing to prefer"]

    assert ("error", True) == (finding.severity, "4 of 4" in finding.evidence)


def test_preferences_that_length_tells(world: World) -> None:
    """A note: the longer answer is always the better one."""
    rows = [{"prompt": "Name a cat", "chosen": "a long cat", "rejected": "cat"} for _ in range(8)]
    write_rows(world.root / "lopsided.jsonl", rows)
    finding = found(world, stage("reward", "lopsided.jsonl", learning_rate=5e-3))[
        "length tells the better answer"
    ]

    assert ("note", True) == (finding.severity, "100% of 8 pairs the longer" in finding.evidence)


def test_evaluation_prompts_in_the_training_data(world: World) -> None:
    """A whole prompt is an error wherever it stands in a row, a shared run of words a note."""
    prompt = "Write a short poem about a very old cat that sleeps all day on the warm stove"
    rows = [
        {"prompt": f"Please: {prompt}!", "completion": "cat"},
        {"prompt": "Name a cat", "completion": "cat"},
    ]
    write_rows(world.root / "contaminated.jsonl", rows)
    stages = planned(world, stage("sft", "contaminated.jsonl", learning_rate=5e-3))

    def finding(asked: str) -> DoctorFinding | None:
        examined = examine(stages[-1], extra=[contamination_check(Index({"ifeval": [asked]}))])
        return next((each for each in examined.findings if "evaluation prompts" in each.check), None)

    whole, part = finding(prompt), finding(f"{prompt}, and end it with a question")
    assert whole is not None
    assert part is not None
    assert ("error", "note") == (whole.severity, part.severity)
    assert "of 2 rows looked at 1 hold a whole prompt of ifeval" in whole.evidence
    assert finding("Write a long story about a very young dog that runs all night in the cold snow") is None


def test_too_few_checkpoints(world: World) -> None:
    """200 steps with one every 150 leave nothing to choose from."""
    asked = stage("grpo", "prompts.jsonl", CASE, **{**GRPO, "steps": 200, "checkpoint_steps": 150})

    assert "checkpoint_steps = 40" == found(world, asked)["no checkpoints to choose from"].fix


def test_a_stage_is_looked_at_before_its_parent_is_trained(world: World) -> None:
    """With the tokenizer and template that the parent will have, which are those of its own base."""
    doubling = changed(world, "{{ bos_token }}" + template_of(world))
    fresh = pipeline("fresh", "other", stage("sft", "sft.jsonl", epochs=1, learning_rate=1.5e-4))
    asked = pipeline("inspected", "fresh", stage("grpo", "prompts.jsonl", "judge", **GRPO, beta=0))
    judge = pipeline("judge", "base", stage("reward", "pairs.jsonl", learning_rate=1.6e-4))
    [*_, last] = plan(world.context(fresh, asked, judge, models=doubling), "inspected")
    examined = examine(last)

    assert {"no KL penalty", "beginning of sequence doubled"} <= {each.check for each in examined.findings}
    assert "<|user|>" in examined.shown[0].text
    assert ("reward model 'judge' is not trained yet: what it has learned shows once it is",) == tuple(
        examined.left_out
    )


def test_without_a_tokenizer_it_is_said_who_makes_it(world: World, tmp_path: Path) -> None:
    """A chain that begins with nothing has none before its first stage is trained."""
    asked = pipeline("inspected", "base", stage("sft", "sft.jsonl", epochs=16))
    stages = plan(world.context(asked, output=tmp_path), "inspected")
    base, sft = (examine(each) for each in stages)

    assert ["many epochs"] == [each.check for each in sft.findings]
    assert "the `pretrain` stage that its chain begins with makes the tokenizer, and is not trained" in str(
        sft.left_out
    )
    assert "learns from plain text" in str(base.left_out)


def test_a_gguf_file_is_looked_at_before_it_is_unpacked(world: World, tmp_path: Path) -> None:
    """What is shown is what is shown afterwards; no weights are written for it."""
    file = tiny_gguf(tmp_path / "tiny.gguf", tiny_llama(tmp_path / "m", bos=False))
    context = world.context(
        pipeline("inspected", "tiny", RIGHT["sft"]), models={"tiny": _model("tiny", file)}, output=tmp_path
    )
    before = examine(plan(context, "inspected")[-1])
    [kept] = (tmp_path / "bases").iterdir()
    produce(context, "inspected")

    assert kept.name.endswith(".tokenizer")
    assert examine(plan(context, "inspected")[-1]).shown == before.shown != ()


def test_stages_have_names_of_their_own(world: World) -> None:
    """Two of one kind in a pipeline are told apart."""
    twice = pipeline("twice", "base", RIGHT["sft"], stage("sft", "sft.jsonl", epochs=1))

    assert ["base · pretrain", "twice · sft (stage 1)", "twice · sft (stage 2)"] == [
        examine(each).name for each in world.plan("twice", twice)
    ]


def test_two_pairs_tell_nothing(world: World) -> None:
    """A reward model that is wrong on both of two pairs may be good: a note, which `--strict` passes."""
    rows = [
        {"prompt": f"Name {animal}", "chosen": animal, "rejected": animal.upper()}
        for animal in ("cat", "cow")
    ]
    write_rows(world.root / "two.jsonl", rows)
    judge = pipeline("two", "base", stage("reward", "two.jsonl", learning_rate=1e-12))
    asked = pipeline("inspected", "sft", stage("grpo", "prompts.jsonl", "two", **GRPO))
    produce(world.context(judge), "two")
    examined = examine(plan(world.context(judge, asked), "inspected")[-1])
    [finding] = [each for each in examined.findings if "reward model" in each.check]

    assert "note" == finding.severity
    assert "reward model 'two' ranks" in finding.evidence
    assert "cannot be told from 2 pairs" in finding.evidence


@pytest.mark.parametrize(
    ("right", "pairs", "severity"),
    [(0, 2, "note"), (2, 2, "note"), (3, 5, "note"), (24, 48, "error"), (0, 8, "error"), (8, 8, None)],
)
def test_chance_is_an_error_where_the_pairs_could_tell(right: int, pairs: int, severity: str | None) -> None:
    """By the width of the interval; a model that is reliably wrong is no better than chance either."""
    share, interval = accuracy([_scored(number, number < right) for number in range(pairs)])
    found = list(no_better_than_chance("key", PairwiseAccuracy(share, interval, pairs, "held-out"), "judge"))

    assert ([severity] if severity else []) == [finding.severity for finding in found]


def _scored(number: int, right: bool) -> ScoredPair:
    return ScoredPair(
        pair=str(number), prompt=str(number), chosen=float(right), rejected=0.5, longer_by=number
    )


def test_a_reward_model_that_chooses_checkpoints_is_looked_at(world: World) -> None:
    """It decides what the candidate is, as those that the stage learns from do."""
    select = {"by": "reward", "reward": "reward", "prompts": "prompts.jsonl"}
    asked = stage("sft", "sft.jsonl", epochs=2, learning_rate=5e-3, select=select)

    assert "of 48 training pairs right" in str(examine(planned(world, asked)[-1]).measured)


def test_a_reward_model_is_run_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many stages learn from it."""
    ran: list[int] = []

    def spy(folder: Path, pairs: Sequence[Any], **others: Any) -> PairwiseAccuracy:
        ran.append(len(pairs))
        return training_accuracy(folder, pairs, **others)

    monkeypatch.setattr(examination, "training_accuracy", spy)
    known: dict[tuple[Path, bool], PairwiseAccuracy] = {}
    for kind in ("grpo", "rloo"):
        examine(planned(world, stage(kind, "prompts.jsonl", "reward", **GRPO))[-1], accuracies=known)

    assert [48] == ran


def test_a_reward_model_from_elsewhere_cannot_be_tried(world: World) -> None:
    """Nobody knows which pairs it learned; that is said, and not passed over."""
    models = {"judge": _model("judge", world.produce("reward"))}
    examined = examine(planned(world, stage("grpo", "prompts.jsonl", "judge", **GRPO), models=models)[-1])

    assert ("reward model 'judge' was not trained here: no pairs are known to try it on",) == tuple(
        examined.left_out
    )


def test_what_is_in_the_loss_is_shown(world: World) -> None:
    """The first row's prompt is read, and its answer with the end of turn is learned."""
    asked, learned = examine(planned(world, RIGHT["sft"])[-1]).shown

    assert (False, True) == (asked.learned, learned.learned)
    assert ("prompt", "answer") == (asked.part, learned.part)
    assert asked.text.endswith("<|assistant|>")
    assert learned.text.endswith("<|end|>")


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ("reward", ["prompt", "chosen", "rejected"]),
        ("dpo", ["prompt", "chosen", "rejected"]),
        ("grpo", ["prompt"]),
    ],
)
def test_the_parts_of_what_is_shown_are_named(world: World, kind: str, parts: Sequence[str]) -> None:
    """Which answer of a pair is which does not show by itself."""
    assert parts == [piece.part for piece in examine(planned(world, RIGHT[kind])[-1]).shown]


# ---------------------------------------------------------------- models from elsewhere


def test_an_appending_tokenizer_and_a_disputed_end_are_found(tmp_path: Path) -> None:
    """With what is appended, which tokens the two name, and what to write where."""
    folder = tiny_llama(tmp_path / "m")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    special = [(token, tokenizer.convert_tokens_to_ids(token)) for token in (BOS, EOS)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{BOS} $A {EOS}", pair=f"{BOS} $A $B {EOS}", special_tokens=special
    )
    tokenizer.save_pretrained(folder)
    end = tokenizer.convert_tokens_to_ids(TURN_END)
    stated = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**stated, "eos_token_id": end}))

    findings = {each.check: each for each in examine_model(_model("m", folder)).findings}

    assert {"tokenizer appends to every text", "tokenizer and configuration end texts differently"} == set(
        findings
    )
    appending = findings["tokenizer appends to every text"]
    assert "the tokenizer ends every text with '<eos>' (1)" in appending.evidence
    disputed = findings["tokenizer and configuration end texts differently"]
    assert f"end of text is '<eos>' (1), and the model's '<end>' ({end})" in disputed.evidence
    assert '"eos_token": "<end>"' == disputed.fix


def test_a_gguf_file_is_examined(tmp_path: Path) -> None:
    """What transformers reads wrongly in it is said, with the file's own."""
    file = tiny_gguf(tmp_path / "tiny.gguf", tiny_llama(tmp_path / "m", bos=False))

    [finding] = examine_model(_model("m", file)).findings

    assert "end of text read wrongly by transformers" == finding.check
    assert "the file ends a text with '<end>' (3), and transformers reads '<pad>'" in finding.evidence


def test_an_adapters_tokenizer_is_reported_and_what_it_lacks(tmp_path: Path) -> None:
    """Which tokenizer is used is a note; tokens that nothing was learned for are an error."""
    base = tiny_llama(tmp_path / "m")
    adapter = tiny_adapter(tmp_path / "adapter", base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(["<one>", "<two>", "<three>"], special_tokens=True)
    tokenizer.save_pretrained(adapter)
    end = tokenizer.convert_tokens_to_ids(TURN_END)
    stated = json.loads((base / "generation_config.json").read_text())
    (base / "generation_config.json").write_text(json.dumps({**stated, "eos_token_id": [1, end]}))
    model = Model(name="m", source=Local(path=str(base), adapter=str(adapter)))

    findings = {each.check: each for each in examine_model(model).findings}

    assert {"the adapter's tokenizer is used", "tokens without weights"} == set(findings)
    assert "note" == findings["the adapter's tokenizer is used"].severity
    missing = findings["tokens without weights"].evidence
    assert missing.startswith(f"'<two>' ({len(tokenizer) - 2}), '<three>' ({len(tokenizer) - 1}) have no")


def test_a_template_that_reads_the_clock_is_reported(tmp_path: Path) -> None:
    """With the date that it is given."""
    template = (
        "{{ strftime_now('%Y') }}{% for message in messages %}{{ message['content'] }}<eos>{% endfor %}"
    )
    source = Local(path=str(tiny_llama(tmp_path / "m")))

    [finding] = examine_model(Model(name="m", source=source, chat_template=template)).findings

    assert ("chat template reads the clock", "note") == (finding.check, finding.severity)
    assert "says 2024-07-26 here on every day" in finding.evidence

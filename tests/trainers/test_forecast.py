"""A plan says what would be trained, what is reused, why, and about how much it is."""

from tests.trainers.test_stages import CASE, GRPO
from tests.trainers.world import World, pipeline, stage
from trainers.forecast import StageForecast, forecast


def reported(world: World, *names: str, **added: object) -> dict[str, StageForecast]:
    """The forecast for these pipelines of the world, by kind of stage."""
    plans = {name: world.plan(name, added.get(name)) for name in names}  # type: ignore[arg-type]
    return {line.kind: line for line in forecast(plans, world.output)}


def test_what_is_there_is_reused_and_the_rest_is_new(world: World) -> None:
    """Stages that two pipelines share stand once, with both."""
    grpo = pipeline(
        "planned", "sft", stage("grpo", "prompts.jsonl", CASE, **{**GRPO, "steps": 3, "beta": 0.2})
    )
    lines = reported(world, "sft", "planned", planned=grpo)

    assert [("pretrain", True), ("sft", True), ("grpo", False)] == [
        (line.kind, line.done) for line in lines.values()
    ]
    assert ("sft", "planned") == lines["sft"].needed_by
    assert ("trained already", "new") == (lines["sft"].why, lines["grpo"].why)


def test_a_changed_setting_is_named_with_both_values(world: World) -> None:
    """Why a stage is trained anew is what differs from the one that its pipeline's name stands for."""
    world.produce("replanned", pipeline("replanned", "base", stage("sft", "sft.jsonl", epochs=1)))
    changed = pipeline("replanned", "base", stage("sft", "pairs_as_sft.jsonl", epochs=3))
    (world.root / "pairs_as_sft.jsonl").write_text('{"prompt": "Name a cat", "completion": "cat"}\n')
    line = reported(world, "replanned", replanned=changed)["sft"]

    assert "changed since it was trained: epochs 1 → 3, its data" == line.why


def test_an_interrupted_stage_goes_on(world: World) -> None:
    """Its unfinished folder is there."""
    waiting = pipeline("waiting", "base", stage("sft", "sft.jsonl", epochs=2, learning_rate=3e-4))
    [*_, planned] = world.plan("waiting", waiting)
    planned.partial.mkdir()

    assert reported(world, "waiting", waiting=waiting)["sft"].why.startswith("interrupted")


def test_steps_are_those_that_training_takes(world: World) -> None:
    """48 rows in batches of 16, for 2 epochs; the manifest counts the same."""
    [*_, planned] = world.plan("sft")

    assert 6 == reported(world, "sft")["sft"].steps == planned.manifest["metrics"]["steps"]


def test_tokens_are_counted_with_the_tokenizer_there_is(world: World) -> None:
    """Of the base, where it is trained: less than training reads, for the template is not counted."""
    line = reported(world, "sft")["sft"]
    [*_, planned] = world.plan("sft")
    read = planned.manifest["metrics"]["num_tokens"]

    assert 0.6 * read < line.tokens < read

"""The plan of an analysis: its seeds are fixed by value, for every published interval rests on them."""

from harness.stats.plan import AnalysisPlan, Resampling


def test_seeds_depend_on_what_is_analysed_alone() -> None:
    """A hash of the seed and the names; level and resamples are the plan's."""
    plan = AnalysisPlan(level=0.9, resamples=99, seed=7)
    found = plan.resampling("sft", "dpo", "ana")

    assert Resampling(level=0.9, resamples=99, seed=17444155476289729310) == found
    assert found == plan.resampling("sft", "dpo", "ana")
    assert found.seed != AnalysisPlan(seed=8).resampling("sft", "dpo", "ana").seed
    assert Resampling(level=0.9, resamples=99, seed=7) == plan.of_means


def test_a_generator_begins_at_the_seed() -> None:
    """The same numbers each time; one that is handed in goes on from where it is."""
    first, again = (Resampling(seed=3).generator().random() for _ in range(2))
    assert first == again
    used = Resampling(seed=3).generator()
    used.random()
    assert first != Resampling(seed=used).generator().random()


def test_a_model_is_fitted_no_more_often_than_said() -> None:
    """Fewer resamples stay fewer; the level is kept, and alpha has no dust."""
    plan = AnalysisPlan(level=0.95, resamples=500)
    assert (500, 200) == (plan.at_most(1000).resamples, plan.at_most(200).resamples)
    assert (0.95, 0.05) == (plan.at_most(200).level, plan.alpha)

"""Check items: questions with one answer that is plainly better, all written for this project.

A rater who prefers the other one did not read. Both answers are about as long and as sure of themselves, so
that only reading tells them apart; none is offensive, and none needs special knowledge.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A question, an answer that is right, and one that is plainly wrong or about something else."""

    prompt: str
    good: str
    bad: str


CHECKS = (
    Check(
        prompt="How many days are there in a week?",
        good="There are seven days in a week, from Monday to Sunday.",
        bad="There are four days in a week, and all of them are in March.",
    ),
    Check(
        prompt="What should I do if I cut my finger slightly while cooking?",
        good="Rinse it under clean water, press a clean cloth on it until the bleeding stops, and cover it.",
        bad="Trains leave from platform two in the morning, and from platform five after six o'clock.",
    ),
    Check(
        prompt="Write one sentence that invites a neighbour to dinner.",
        good="Would you like to join us for dinner at our place this Saturday at seven?",
        bad="The quarterly figures of the warehouse are attached, sorted by shelf and weight.",
    ),
    Check(
        prompt="Name three fruits.",
        good="Apple, banana and orange are three fruits.",
        bad="Hammer, curtain and bicycle are three fruits.",
    ),
    Check(
        prompt="Is it safe to look straight at the sun without protection?",
        good="No. Looking straight at the sun can damage your eyes, even when it does not hurt.",
        bad="Yes. Looking straight at the sun for an hour a day makes the eyes strong and needs no care.",
    ),
    Check(
        prompt="Which is heavier, an elephant or a mouse?",
        good="An elephant is far heavier: it weighs several tonnes, and a mouse a few grams.",
        bad="A mouse is far heavier: it weighs several tonnes, and an elephant a few grams.",
    ),
    Check(
        prompt="How do I make a cup of tea?",
        good="Boil water, pour it over a tea bag in a cup, wait three to five minutes, and take the bag out.",
        bad="Tighten the screws of the shelf, paint the wall blue, wait until Friday, and post the letter.",
    ),
    Check(
        prompt="What colour do you get by mixing blue and yellow paint?",
        good="Mixing blue and yellow paint gives green.",
        bad="Mixing blue and yellow paint gives wood.",
    ),
    Check(
        prompt="My friend is sad because her cat died. What could I say to her?",
        good="You could say: I am so sorry about your cat. I know you loved her, and I am here for you.",
        bad="You could say: Congratulations! The printer has no paper, and the meeting begins at ten.",
    ),
    Check(
        prompt="Put these numbers in ascending order: 9, 2, 5.",
        good="In ascending order they are 2, 5, 9.",
        bad="In ascending order they are 9, 70, 1.",
    ),
    Check(
        prompt="Why do people use umbrellas?",
        good="People use umbrellas to stay dry in the rain, and sometimes for shade from the sun.",
        bad="People use umbrellas to boil eggs at night, and sometimes to send letters to the moon.",
    ),
    Check(
        prompt="Give me a short summary of what a library is for.",
        good="A library keeps books, lets people read or borrow them, and offers a quiet place to work.",
        bad="A library is a kind of soup that is served cold, with some salt, mostly by people on boats.",
    ),
)
"""The bank. A design draws its checks from it and seals their text, so that it may grow."""

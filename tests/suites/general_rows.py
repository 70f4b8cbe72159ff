"""Rows in the hub schemas of general ability's tasks, made up for tests: what their definitions read."""

from typing import Any

GENERAL: dict[str, list[dict[str, Any]]] = {
    "hellaswag": [
        {
            "ind": place,
            "activity_label": f"Cutting wood {place}",
            "ctx_a": "A man holds a saw.",
            "ctx_b": "he",
            "ctx": "A man holds a saw. he",
            "endings": [
                "cuts a board [substeps] with care.",
                "eats the saw.",
                f"sings {place} songs to it.",
                "flies.",
            ],
            "source_id": f"activitynet~v_{place}",
            "split": "val",
            "split_type": "indomain",
            "label": "0",
        }
        for place in range(3)
    ],
    "arc_easy": [
        {
            "id": f"Mercury_{place}",
            "question": f"Which tool number {place} drives a nail?",
            "choices": {"text": ["a spoon", "a hammer", "a cup"], "label": ["A", "B", "C"]},
            "answerKey": "B",
        }
        for place in range(3)
    ],
    "piqa": [
        {"goal": f"To drive nail {place},", "sol1": "hit it.", "sol2": "sing to it at night.", "label": 0}
        for place in range(2)
    ],
    "winogrande": [
        {
            "sentence": "The nail went through the board because the _ was soft.",
            "option1": "board",
            "option2": "hammer",
            "answer": "1",
        }
    ],
    "lambada_openai": [{"text": "The dog sleeps on the mat"}, {"text": "The mat lies under the dog"}],
}

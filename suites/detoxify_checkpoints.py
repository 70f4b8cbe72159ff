"""Detoxify checkpoints in folders: what is in them, and whether it fits together.

A checkpoint is a pickle, and reading a pickle can run code. So none is trusted: its description is read by an
unpickler to which every class is inert and every tensor absent, and its weights by torch as weights and plain
values only. What holds more than those is refused, with the reason.

The description is cheap and needs no model library: what a suite measures depends on the classes in it.
"""

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from harness.errors import ModelError

STANDARD_NAMES = {"toxic": "toxicity", "identity_hate": "identity_attack", "severe_toxic": "severe_toxicity"}
"""Older classes as Detoxify gives them out."""


def classes_of(checkpoint: Path) -> tuple[str, ...]:
    """What a checkpoint gives a probability for, by standard names, `toxicity` among it.

    Raises ModelError for one that cannot be a toxicity classifier's.
    """
    content = _description(checkpoint)
    try:
        arguments = content["config"]["arch"]["args"]
        classes = content["config"]["dataset"]["args"]["classes"]
        outputs, *_ = arguments["num_classes"], arguments["model_name"], arguments["tokenizer_name"]
        _ = content["state_dict"]
    except KeyError as error:
        refuse(checkpoint, f"it lacks {error}")
    except TypeError:
        refuse(checkpoint, "its `config` is built in another way")
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        refuse(checkpoint, f"its `classes` must be a list of names, not {classes!r}")
    named = tuple(STANDARD_NAMES.get(name, name) for name in map(str, classes))
    if "toxicity" not in named:
        raise ModelError(f"{checkpoint}: needs a class 'toxicity', and has {', '.join(named) or 'none'}")
    # there may be more outputs than classes: some of the released ones have no name
    if not isinstance(outputs, int) or outputs < len(named):
        refuse(checkpoint, f"it has {len(named)} classes, and {outputs!r} as `num_classes`")
    return named


def refuse(checkpoint: Path, why: str) -> NoReturn:
    """Raise ModelError: what is wrong, and what would be right."""
    raise ModelError(
        f"{checkpoint}: is not a Detoxify checkpoint of the model in its folder: {why}. Such a checkpoint is "
        "made with torch.save, and holds `state_dict` and `config` with `dataset.args.classes`, and with "
        "`num_classes`, `model_name` and `tokenizer_name` in `arch.args`"
    )


def weights_and_plain_values(checkpoint: Path) -> Any:
    """A checkpoint's whole content, read without running what it may bring along. Raises ModelError."""
    import torch  # noqa: PLC0415 - takes seconds, and a stored evaluation needs none of it

    try:
        return torch.load(checkpoint, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{checkpoint}: damaged, or holds more than weights and plain values. A checkpoint is a pickle, "
            "which can run code when it is read; this one is not read. If you trust where it comes from, "
            "load it there and save its `config` and `state_dict` again, without anything else"
        ) from error
    except (EOFError, RuntimeError) as error:
        _damaged(checkpoint, error)


_UNREADABLE = (pickle.UnpicklingError, AttributeError, EOFError, IndexError, KeyError, TypeError, ValueError)
"""What the unpickler raises where a pickle is damaged, or uses what is inert as if it were not."""


class _Inert:
    """Stands for whatever a pickle names, and does nothing."""

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass

    def __call__(self, *arguments: object) -> "_Inert":
        return self


class _Describing(pickle.Unpickler):
    """Builds plain values and ordered mappings, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        return OrderedDict if (module, name) == ("collections", "OrderedDict") else _Inert

    def persistent_load(self, pid: object) -> None:
        """A tensor's storage, which is left where it is."""


def _description(checkpoint: Path) -> Mapping[str, Any]:
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            [name] = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            with archive.open(name) as pickled:
                content = _Describing(pickled).load()
    except (OSError, zipfile.BadZipFile, *_UNREADABLE) as error:
        _damaged(checkpoint, error)
    return content if isinstance(content, Mapping) else {}


def _damaged(checkpoint: Path, error: Exception) -> NoReturn:
    raise ModelError(
        f"{checkpoint}: is damaged, or was not made with torch.save since torch 1.6: {error}"
    ) from error

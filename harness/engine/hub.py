"""Finds the folder or file on this machine that a model's `path` names, if need be in the hub's cache."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import DownloadNeeded, ModelError

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
"""`name` or `org/name`. A relative folder can look the same: the folder wins where there is one."""

HUB_FILE = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[\w.-]+)/(?P<file>.+)")
"""`org/name/file`: one file of a repository."""
GGUF = ".gguf"

NEEDED = ("*.json", "*.jinja", "*.model", "*.txt", "*.tiktoken", "*.py", "*.safetensors")
UNUSED = ("consolidated*", "original/*", "onnx/*", "runs/*", "*/*.safetensors")


def model_folder(path: str, revision: str | None) -> Path:
    """The folder that holds a model or adapter, downloaded where it is neither local nor cached.

    What is cached is used as it is: a branch is not looked up again.
    Raises ModelError where there is no such folder or repository, DownloadNeeded where the hub gives nothing.
    """
    folder = Path(path).expanduser()
    if folder.is_dir():
        return folder.resolve()
    if folder.exists():
        raise ModelError(f"{path}: a file, where a model's folder was expected")
    if not HUB_ID.fullmatch(path):
        raise ModelError(f"{path}: there is no such folder; name a model's folder or its hub id")
    return _hub_folder(path, revision)


def gguf_file(path: str, revision: str | None) -> Path | None:
    """The GGUF file that a path names, downloaded where needed; None where it names no such file.

    Raises what `model_folder` raises.
    """
    if not path.endswith(GGUF) or Path(path).expanduser().is_dir():
        return None
    file = Path(path).expanduser()
    if file.is_file():
        return file.absolute()  # not resolved: what a link in the hub's cache leads to has no ending
    there = HUB_FILE.fullmatch(path)
    if there is None:
        raise ModelError(
            f"{path}: there is no such file; name a GGUF file, or `org/name/{file.name}` of the hub"
        )
    return _hub_file(there["repo"], there["file"], revision)


def _hub_file(repo: str, file: str, revision: str | None) -> Path:
    from huggingface_hub import errors, hf_hub_download  # noqa: PLC0415 - takes half a second

    try:
        return Path(hf_hub_download(repo, file, revision=revision, local_files_only=True))
    except errors.LocalEntryNotFoundError:
        pass  # not cached: it is downloaded below
    with _downloading(f"{repo}/{file}", revision, f"{repo} {file}"):
        return Path(hf_hub_download(repo, file, revision=revision))


def _hub_folder(path: str, revision: str | None) -> Path:
    from huggingface_hub import errors, snapshot_download  # noqa: PLC0415 - takes half a second

    try:
        cached = Path(snapshot_download(path, revision=revision, local_files_only=True))
        if _has_weights(cached):
            return cached
    except errors.LocalEntryNotFoundError:
        pass  # not cached: it is downloaded below
    with _downloading(path, revision, path):
        folder = Path(
            snapshot_download(
                path, revision=revision, allow_patterns=list(NEEDED), ignore_patterns=list(UNUSED)
            )
        )
        if not _has_weights(folder):
            snapshot_download(path, revision=revision, allow_patterns=["*.bin"])
    return folder


@contextmanager
def _downloading(path: str, revision: str | None, what: str) -> Iterator[None]:
    """Turn the hub client's errors into ours. `what` are the arguments of `hf download`."""
    from huggingface_hub import errors  # noqa: PLC0415 - takes half a second

    try:
        yield
    except errors.GatedRepoError as error:
        raise ModelError(
            f"{path}: the hub requires that you accept its terms: accept them on its page, and "
            "log in with `hf auth login`"
        ) from error
    except (
        errors.RepositoryNotFoundError,
        errors.RevisionNotFoundError,
        errors.RemoteEntryNotFoundError,
    ) as error:
        raise ModelError(
            f"{path}: there is no such folder, and the hub has no such model{_at(revision)}"
        ) from error
    except OSError as error:  # the hub's own errors, a missing network, and a full disk are all OSErrors
        raise DownloadNeeded(
            f"{path}: there is no such folder, it is not in the hub's cache{_at(revision)}, and it could not "
            f"be downloaded ({first_line(error)}). Connect to the network and run again, name a folder, or "
            f"run `hf download {what}` where there is a network and copy its cache here"
        ) from error


def _has_weights(folder: Path) -> bool:
    """A snapshot may hold only the configuration, which another program downloaded."""
    return any(folder.glob("*.safetensors")) or any(folder.glob("*.bin"))


def _at(revision: str | None) -> str:
    return "" if revision is None else f" at revision {revision}"


def why_nothing_came(error: OSError | RuntimeError) -> str:
    """Why the hub did not answer. Its client reports that it is closed when it retries without a network."""
    closed = "client has been closed" in str(error)
    return "there is no connection to it" if closed else first_line(error)


def first_line(error: BaseException) -> str:
    """The first line of an error, without the pages of advice some libraries append."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)

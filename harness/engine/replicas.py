"""Several engines of one model, each in a process of its own that Ray runs, seen as one.

The process that asks is the driver. It keeps suites and store, hands out shards of requests
(`harness.engine.shards`) and yields answers as they come: what is recorded, under which key, is what one
engine would give. Ray starts replicas where there is room, and starts one anew that has died. What it had not
answered goes to others; a request under which replicas die again and again is one failed answer.

Every replica reads the weights itself, on one machine from the system's page cache.
"""

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from harness.calls import AnswersTogether, Call, ScoringCall, WritingCall, starts
from harness.engine.opening import identify_model, without_weights
from harness.engine.ray_cluster import ray_for
from harness.engine.replica import OpenedReplica, Replica, ReplicaBatch, conditions
from harness.engine.shards import SizedRequest, shards
from harness.engine.steps import tell_step
from harness.errors import EngineError, HarnessError, ModelError
from harness.protocols import EngineInfo
from harness.records.answers import (
    LogLikelihood,
    Message,
    Prompt,
    Response,
    SamplingParameters,
    answer_of,
)
from harness.records.models import Json, Model

ALONE = 2
"""Replicas that may die under a request that is asked alone, until it is a failed answer."""
MOST_DEATHS = 40
"""Replicas that may die between two answers, until nothing is tried any more."""
DEATHS_WHILE_LOADING = 5
"""Replicas that may die before one has loaded the model."""
OTHERS = "other_conditions"
"""The key of a description that says what replicas have that the driver has not."""
LOOKING = 1.0
"""Seconds between two looks at whether a signal has come."""


@dataclass(slots=True)
class _Shard:
    """Requests that one replica is given together."""

    call: Call
    """The call that they belong to."""
    start: int
    """What the index of the call's first request is, where calls are counted through."""
    indices: list[int]
    """Those of the call."""
    deaths: int = 0
    """Replicas that died while these requests were with them."""
    tokens: tuple[int, int] = (0, 0)
    """How many are written, and how many may still follow."""

    def __post_init__(self) -> None:
        self.tokens = 0, _written(self.call) * len(self.indices)

    def begin(self, replica: Any) -> Any:
        """Let a replica begin to answer."""
        return replica.begin.remote(self.call.part(self.indices))

    def after_death(self, answered: Collection[int]) -> "list[_Shard]":
        """What is left: whole at first, since it may have died of something else, and in halves later."""
        left = [index for index in self.indices if self.start + index not in answered]
        if not self.deaths or len(left) == 1:
            return [replace(self, indices=left, deaths=self.deaths + 1)] if left else []
        half = len(left) // 2
        return [replace(self, indices=part, deaths=1) for part in (left[:half], left[half:]) if part]

    @property
    def is_deadly(self) -> bool:
        """Whether replicas die of this request."""
        return len(self.indices) == 1 and self.deaths >= ALONE


class Replicas:
    """The replicas of a model: those that are free, and those that are loading it."""

    def __init__(
        self,
        model: Model,
        fingerprint: str,
        *,
        number: int,
        cpus: int,
        gpus: float,
        device: str | None,
        on: str,
    ) -> None:
        self.ray = ray_for(on, gpus=gpus)
        self.fingerprint = fingerprint
        self.model = model
        self._cpus, self._gpus = cpus, gpus
        self.opened: dict[Any, OpenedReplica] = {}
        self.free: deque[Any] = deque()
        self._loading: dict[Any, Any] = {}
        self._deaths = 0
        make = self.ray.remote(Replica).options(num_cpus=cpus, num_gpus=gpus, max_restarts=-1)
        self.all = [make.remote(model, device) for _ in range(number)]
        for replica in self.all:
            self.load(replica)

    def load(self, replica: Any) -> None:
        """Let a replica load the model, for the first time or after it was started anew."""
        self._loading[replica.open.remote()] = replica

    def ready(self, asked: Collection[Any]) -> list[Any]:
        """Those of these calls that have returned, after a second at the latest.

        Replicas that have loaded the model in this time are free. Raises ModelError and EngineError for one
        that cannot load it.
        """
        waiting = [*asked, *self._loading]
        found, _ = self.ray.wait(waiting, num_returns=1, timeout=LOOKING)
        found, _ = self.ray.wait(waiting, num_returns=len(waiting), timeout=0)
        for each in found:
            if each in self._loading:
                self._loaded(each)
        return [each for each in found if each in asked]

    def wait_for_one(self) -> None:
        """Wait until one is free: others of this command, or of other people, may have the room.

        Raises EngineError where there is no machine any more that has it.
        """
        while not self.free:
            self.ready(())
            if not any(self._fits(node["Resources"]) for node in self.ray.nodes() if node["Alive"]):
                raise EngineError(
                    f"{self.model.name}: no machine of the cluster has {self._cpus} CPUs and {self._gpus:g} "
                    "GPUs, which a replica needs; the same command goes on once one has"
                )

    def _fits(self, resources: Mapping[str, float]) -> bool:
        return resources.get("CPU", 0) >= self._cpus and resources.get("GPU", 0) >= self._gpus

    def end(self) -> None:
        """End every replica."""
        for replica in self.all:
            self.ray.kill(replica, no_restart=True)

    def _loaded(self, reference: Any) -> None:
        replica = self._loading.pop(reference)
        try:
            said = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError:
            raise
        except self.ray.exceptions.RayError as error:
            self._deaths += 1
            if self._deaths > DEATHS_WHILE_LOADING:
                raise EngineError(
                    f"{self.model.name}: replicas die while they load the model: {_first_line(error)}"
                ) from error
            self.load(replica)
            return
        said = _opened(said)
        if said.fingerprint != self.fingerprint:
            raise ModelError(
                f"{self.model.name}: {said.node} has another model under the same path or name; make the "
                "same files visible on every machine"
            )
        self._deaths = 0
        self.opened[replica] = said
        self.free.append(replica)


class _Asked:
    """Calls, on their way through the replicas.

    What is written comes first, the longest before all else: its shards end late, and what is scored is cut
    into small ones that fill the time until then.
    """

    def __init__(self, replicas: Replicas, calls: Sequence[Call]) -> None:
        self._replicas = replicas
        numbered = sorted(zip(starts(calls), calls, strict=True), key=lambda each: -_written(each[1]))
        self._waiting = deque(
            _Shard(call, start, indices)
            for start, call in numbered
            for indices in shards(_sized(call), len(replicas.all))
        )
        self._running: dict[Any, tuple[Any, _Shard]] = {}
        self._answered: set[int] = set()
        self._deaths = 0
        """Replicas that died since the last answer."""
        self._tokens = 0
        """Those that were written of shards that are over."""

    def answers(self) -> Iterator[tuple[int, Any]]:
        """Every request's answer, as replicas give them."""
        try:
            while self._waiting or self._running:
                self._hand_out()
                for call in self._replicas.ready(self._running):
                    yield from self._returned(call)
        finally:
            # whoever left the call does not ask for more; the next shard is begun after what is under way
            self._replicas.free += [replica for replica, _ in self._running.values()]

    def _hand_out(self) -> None:
        while self._waiting and self._replicas.free:
            replica, shard = self._replicas.free.popleft(), self._waiting.popleft()
            self._running[shard.begin(replica)] = replica, shard

    def _returned(self, call: Any) -> Iterator[tuple[int, Any]]:
        replica, shard = self._running.pop(call)
        ray = self._replicas.ray
        try:
            batch: ReplicaBatch = ray.get(call)
        except ray.exceptions.RayTaskError:  # a defect
            raise
        except ray.exceptions.RayError as error:
            self._replicas.load(replica)
            yield from self._lost(shard, error)
            return
        if batch.forgotten:
            self._replicas.load(replica)
            yield from self._lost(shard, EngineError("it was started anew"))
            return
        shard.tokens = batch.tokens
        if batch.end is None:
            self._running[replica.more.remote()] = replica, shard
        else:
            self._tokens += shard.tokens[0]
            self._replicas.free.append(replica)
        self._tell_tokens()
        for place, kind, values in batch.answers:
            self._deaths = 0
            index = shard.start + shard.indices[place]
            self._answered.add(index)
            yield index, answer_of(kind, values)
        if batch.end is not None:
            self._replicas.opened[replica] = _opened(batch.end)

    def _tell_tokens(self) -> None:
        """Those of all replicas, as one engine tells its own; it does so between two answers, too."""
        running = [shard for _, shard in self._running.values()]
        written = self._tokens + sum(shard.tokens[0] for shard in running)
        if written:
            tell_step(written, sum(shard.tokens[1] for shard in (*running, *self._waiting)))

    def _lost(self, shard: _Shard, error: Exception) -> Iterator[tuple[int, Response]]:
        """Give others what a replica that died had not answered."""
        self._deaths += 1
        if self._deaths > MOST_DEATHS:
            raise EngineError(
                f"{self._replicas.model.name}: {self._deaths} replicas died without an answer between them: "
                f"{_first_line(error)}"
            ) from error
        for left in shard.after_death(self._answered):
            if left.is_deadly:
                index = left.start + left.indices[0]
                self._answered.add(index)
                yield index, _failed(left.deaths, error)
            else:
                self._waiting.appendleft(left)


class ReplicatedEngine(AnswersTogether):
    """A model that several replicas answer for. Matches `harness.protocols.Engine`.

    Raises UsageError where there is no Ray, ModelError and EngineError where no replica can be opened.
    """

    def __init__(
        self,
        model: Model,
        *,
        replicas: int,
        cpus: int = 1,
        gpus: float = 0,
        device: str | None = None,
        on: str = "ray",
    ) -> None:
        self._identity = identify_model(model)
        self._unloaded = without_weights(model, self._identity, {})
        """It renders turns, with one tokenizer for all of them."""
        self._make = partial(
            Replicas,
            model,
            self._identity.fingerprint,
            number=replicas,
            cpus=cpus,
            gpus=gpus,
            device=device,
            on=on,
        )
        self._start()

    def _start(self) -> None:
        self._replicas, self._rests = self._make(), False
        try:
            self._replicas.wait_for_one()
        except BaseException:  # an interrupt too: no process is left behind
            self._replicas.end()
            raise

    def rest(self) -> None:
        """Make room for others: the replicas end, and start anew once something is asked.

        Only between two calls: what was begun and is not answered would be lost.
        """
        self._replicas.end()
        self._rests = True

    @property
    def info(self) -> EngineInfo:
        """The model's identity, described by the replicas that are open."""
        return self._identity.info(_described(list(self._replicas.opened.values())))

    @property
    def can_score(self) -> bool:
        return all(opened.can_score for opened in self._replicas.opened.values())

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        return self._unloaded.render(messages, open_turn=open_turn)

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        return cast("Iterator[tuple[int, Response]]", self.answers([WritingCall(prompts, sampling)]))

    def loglikelihood(
        self, pairs: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[int, LogLikelihood | Response]]:
        return self.answers([ScoringCall(pairs)])

    def answers(self, calls: Sequence[Call]) -> Iterator[tuple[int, LogLikelihood | Response]]:
        """Answers of any of these calls as replicas give them; indices count on from one to the next."""
        if self._rests:
            self._start()
        return _Asked(self._replicas, calls).answers()

    def close(self) -> None:
        """End every replica."""
        self._replicas.end()


def _described(opened: Sequence[OpenedReplica]) -> dict[str, Json]:
    """What replicas say of themselves; where they differ, all that they say."""
    found: dict[str, Json] = {}
    for key in dict.fromkeys(key for each in opened for key in each.description):
        said = list(dict.fromkeys(str(each.description.get(key)) for each in opened))
        found[key] = opened[0].description.get(key) if len(said) == 1 else list(said)
    own = conditions().items()
    others = {f"{name} {other}" for each in opened for name, other in each.conditions.items() - own}
    return {**found, **({OTHERS: [*sorted(others)]} if others else {})}


def _opened(said: OpenedReplica | HarnessError) -> OpenedReplica:
    """What a replica is. Raises what was raised in it."""
    if isinstance(said, HarnessError):
        raise said
    return said


def _failed(deaths: int, error: Exception) -> Response:
    reason = f"{deaths} replicas died while they answered it alone: {_first_line(error)}"
    return Response(text="", stop_reason="failed", reason=reason)


def _sized(call: Call) -> list[SizedRequest]:
    """The requests of a call, as far as shards are concerned."""
    if isinstance(call, ScoringCall):
        return [SizedRequest(context + continuation) for context, continuation in call.pairs]
    return [SizedRequest(_text(prompt), _written(call)) for prompt in call.prompts]


def _written(call: Call) -> int:
    """How many tokens one answer may have."""
    return 0 if isinstance(call, ScoringCall) else call.sampling.max_tokens


def _text(prompt: Prompt) -> str:
    """What is read, as far as it shows which prompts share their beginnings."""
    if isinstance(prompt.content, str):
        return prompt.content
    return "".join(f"{turn.role}: {turn.content}" for turn in prompt.content)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]

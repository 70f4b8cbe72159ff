"""Reads `[models.NAME]`. It does not know whether the model can be loaded or reached."""

from collections.abc import Sequence

from harness.errors import nearest
from harness.records import Endpoint, Gemini, Local, Model, Plugin
from harness.registry.mistakes import Mistakes, Table, under
from harness.registry.paths import Ground
from harness.registry.sections import (
    MODEL_SECTIONS,
    EndpointSection,
    GeminiSection,
    LocalSection,
    PluginSection,
)


def read_model(name: str, table: Table, ground: Ground) -> Model | None:
    """The model, or None and its mistakes noted."""
    key = under("models", name)
    kinds = [kind for kind in MODEL_SECTIONS if kind in table]
    if len(kinds) != 1:
        _no_single_kind(key, table, kinds, ground.mistakes)
        return None
    match ground.mistakes.read(MODEL_SECTIONS[kinds[0]], table, key):
        case LocalSection() as local:
            return _local(name, local, key, ground)
        case EndpointSection(endpoint=url, model=served, api=api, key_env=key_env) as section:
            endpoint = Endpoint(url=url, model=served, api=api, key_env=key_env, traffic=section.traffic)
            return Model(name=name, source=endpoint)
        case GeminiSection(gemini=served, key_env=key_env, url=url) as section:
            gemini = Gemini(model=served, key_env=key_env, url=url, traffic=section.traffic)
            return Model(name=name, source=gemini)
        case PluginSection(engine=engine, settings=settings):
            return Model(name=name, source=Plugin(engine=engine, settings=settings))
    return None


def _local(name: str, section: LocalSection, key: str, ground: Ground) -> Model:
    source = Local(
        path=ground.folder_or_hub(section.path),
        revision=section.revision,
        adapter=None if section.adapter is None else ground.folder_or_hub(section.adapter),
        dtype=section.dtype,
        backend=section.backend,
        trust_remote_code=section.trust_remote_code,
    )
    file = section.chat_template
    template = None if file is None else ground.text(file, under(key, "chat_template"))
    return Model(name=name, source=source, chat_template=template)


def _no_single_kind(key: str, table: Table, kinds: Sequence[str], mistakes: Mistakes) -> None:
    """Note that no kind, or several, are given; a misspelt key explains itself."""
    known = dict.fromkeys(field for section in MODEL_SECTIONS.values() for field in section.model_fields)
    unknown = [field for field in table if field not in known]
    if kinds:
        mistakes.add(key, f"{' and '.join(map(repr, kinds))} exclude each other; keep one")
    elif not unknown:
        mistakes.add(key, f"it needs one of {', '.join(map(repr, MODEL_SECTIONS))}")
    for field in unknown:
        mistakes.add(under(key, field), f"unknown key{nearest(field, known)}")

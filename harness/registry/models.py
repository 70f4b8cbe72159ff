"""Reads `[models.NAME]`."""

from collections.abc import Sequence

from harness.errors import nearest
from harness.records.models import AnswerFiles, Endpoint, Gemini, Local, Model, Plugin, Source
from harness.registry.mistakes import Mistakes, Table, under
from harness.registry.paths import PathResolver
from harness.registry.sections import (
    MODEL_SECTIONS,
    AnswersSection,
    AskedSection,
    EndpointSection,
    GeminiSection,
    LocalSection,
    PluginSection,
)

OF_TEMPLATES = ("thinking", "template_arguments")
"""Settings that reach a model through its chat template."""
OF_TURNS = ("system", *OF_TEMPLATES)
"""Settings that mean something where a model is asked in turns."""


def read_model(name: str, table: Table, paths: PathResolver) -> Model | None:
    """The model, or None and its mistakes noted."""
    key = under("models", name)
    kinds = [kind for kind in MODEL_SECTIONS if kind in table]
    if len(kinds) != 1:
        _no_single_kind(key, table, kinds, paths.mistakes)
        return None
    match paths.mistakes.read(MODEL_SECTIONS[kinds[0]], table, key):
        case LocalSection() as local:
            return _local(name, local, key, paths)
        case EndpointSection(endpoint=url, model=served, api=api, key_env=key_env) as section:
            endpoint = Endpoint(url=url, model=served, api=api, key_env=key_env, limits=section.limits)
            if api == "completions":
                _refuse(section, OF_TURNS, key, 'takes no turns (`api = "completions"`)', paths.mistakes)
            return _model(name, endpoint, section)
        case GeminiSection(gemini=served, key_env=key_env, url=url) as section:
            gemini = Gemini(model=served, key_env=key_env, url=url, limits=section.limits)
            _refuse(section, OF_TEMPLATES, key, "is Gemini's, whose interface lacks it", paths.mistakes)
            return _model(name, gemini, section)
        case PluginSection(engine=engine, settings=settings) as section:
            _refuse(section, OF_TEMPLATES, key, "has its own engine: put it into `settings`", paths.mistakes)
            return _model(name, Plugin(engine=engine, settings=settings), section)
        case AnswersSection(answers=given, generator=generator, thinking_tags=tags):
            files = (given,) if isinstance(given, str) else given
            there = tuple(str(paths.root / file) for file in files)
            source = AnswerFiles(files=there, generator=generator)
            return Model(name=name, source=source, thinking_tags=None if tags is None else (tags[0], tags[1]))
    return None


def _local(name: str, section: LocalSection, key: str, paths: PathResolver) -> Model:
    source = Local(
        path=paths.folder_or_hub(section.path),
        revision=section.revision,
        adapter=None if section.adapter is None else paths.folder_or_hub(section.adapter),
        dtype=section.dtype,
        backend=section.backend,
        trust_remote_code=section.trust_remote_code,
    )
    file = section.chat_template
    template = None if file is None else paths.text(file, under(key, "chat_template"))
    return _model(name, source, section, template)


def _model(name: str, source: Source, section: AskedSection, template: str | None = None) -> Model:
    tags = section.thinking_tags
    return Model(
        name=name,
        source=source,
        chat_template=template,
        thinking=section.thinking,
        template_arguments=section.template_arguments,
        system=section.system,
        thinking_tokens=section.thinking_tokens,
        thinking_tags=None if tags is None else (tags[0], tags[1]),
    )


def _refuse(section: AskedSection, settings: Sequence[str], key: str, why: str, mistakes: Mistakes) -> None:
    """Note each of these settings that a model cannot be asked with."""
    for setting in settings:
        if setting in section.model_fields_set:
            mistakes.add(under(key, setting), f"this model {why}")


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

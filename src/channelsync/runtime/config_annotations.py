"""What the annotation of a setting says it may be: text, a secret, a table, an array."""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr


def keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys of a table as they stand in a file."""
    return tuple(info.alias or name for name, info in model.model_fields.items())


def annotation_of(model: type[BaseModel], key: str) -> Any:
    """The annotation of the field that `key` names in a file; None when there is none."""
    for name, info in model.model_fields.items():
        if (info.alias or name) == key:
            return Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
    return None


def _alternatives(annotation: Any) -> Iterator[Any]:
    """The plain types of an annotation: unions and annotated types taken apart, None left out."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif origin in {Union, types.UnionType}:
        for part in get_args(annotation):
            yield from _alternatives(part)
    elif annotation is not type(None):
        yield annotation


def held_by(annotation: Any) -> Any:
    """What an array or a mapping holds; None when the annotation is neither."""
    for plain in _alternatives(annotation):
        arguments = get_args(plain)
        if arguments and get_origin(plain) is not Literal:
            return arguments[-1] if arguments[-1] is not Ellipsis else arguments[0]
    return None


def models_of(annotation: Any) -> list[type[BaseModel]]:
    """The models that a table of this annotation may be."""
    return [one for one in _alternatives(annotation) if isinstance(one, type) and issubclass(one, BaseModel)]


def is_table(annotation: Any) -> bool:
    """True where only a table may stand."""
    return bool(models_of(annotation)) and len(models_of(annotation)) == len(list(_alternatives(annotation)))


def entry_models_of(annotation: Any) -> list[type[BaseModel]]:
    """The models of the entries of an array of tables."""
    return models_of(held_by(annotation))


def walk(model: type[BaseModel], path: Sequence[str | int]) -> tuple[type[BaseModel] | None, Any]:
    """The table that holds the last part of a path, and what that part takes; None for what no model says."""
    parent: type[BaseModel] | None = None
    annotation: Any = model
    for part in path:
        models = models_of(annotation)
        parent = models[0] if models and isinstance(part, str) else None
        annotation = annotation_of(parent, str(part)) if parent else held_by(annotation)
    return parent, annotation


def takes_text(annotation: Any) -> bool:
    """True where a setting may be text."""
    return any(_is_text(one) for one in _alternatives(annotation))


def takes_only_text(annotation: Any) -> bool:
    """True where a setting is text and nothing else, so that "30" means the text and not the number."""
    plain = list(_alternatives(annotation))
    return bool(plain) and all(_is_text(one) for one in plain)


def takes_secret(annotation: Any) -> bool:
    """True where a secret may stand, and not only inside an array or a table there."""
    return any(one is SecretStr for one in _alternatives(annotation))


def is_secret(annotation: Any) -> bool:
    """True where a setting may be a secret."""
    return any(one is SecretStr for one in _alternatives(annotation)) or (
        held_by(annotation) is not None and is_secret(held_by(annotation))
    )


def may_hide(annotation: Any) -> bool:
    """True where free text stands, which may be a secret; False for numbers and for words to choose from."""
    return any(one in {str, SecretStr} for one in _alternatives(annotation)) or (
        held_by(annotation) is not None and may_hide(held_by(annotation))
    )


def _is_text(plain: Any) -> bool:
    if get_origin(plain) is Literal:
        return all(isinstance(one, str) for one in get_args(plain))
    return plain in {str, SecretStr}

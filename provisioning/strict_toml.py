# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""TOML files read strictly: an unknown key or a wrong type is refused with file, key path and what is allowed."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
import typing
from datetime import date, datetime, time
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from provisioning.errors import ConfigError

if typing.TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound=BaseModel)
_SECRET_NAME = re.compile(r"key|secret|pass|token|kek|credential|fingerprint", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
"""A key that was written where something else belongs."""
_MAX_SHOWN = 60


def load(path: Path, model: type[Model]) -> Model:
    """Read the TOML file into `model`. Raises ConfigError that lists every problem, one a line."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            "The configuration file does not exist.",
            value=path,
            next_step="check the path; lykta gateway enroll makes a gateway's, lykta init a city's",
        ) from error
    except OSError as error:
        raise ConfigError(f"The configuration file cannot be read: {error.strerror}.", value=path) from error
    except UnicodeDecodeError as error:
        raise ConfigError("The configuration file is not UTF-8 text.", value=f"{path}, byte {error.start}") from error
    return loads(text, model, source=str(path))


def loads(text: str, model: type[Model], source: str = "configuration") -> Model:
    """As `load`, from text; `source` names it in messages."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source} is not TOML: {error}", next_step="correct the line and try again") from error
    return check(table, model, source)


def check(table: object, model: type[Model], source: str) -> Model:
    """As `load`, from values that were read already; dates and times may be values or texts."""
    try:
        # TOML has no paths, tuples or enums of its own: pydantic's JSON mode takes them from texts and
        # arrays and stays strict about everything else.
        return model.model_validate_json(json.dumps(table, default=_as_text), strict=True, extra="forbid")
    except ValidationError as error:
        raise problems(error, model, source) from error


def problems(error: ValidationError, model: type[BaseModel], source: str) -> ConfigError:
    """Every problem that `error` tells of, one a line, in words for a person."""
    return ConfigError(
        "\n".join(f"{source}: {_explain(detail, model)}" for detail in error.errors(include_url=False)),
        reason="A key that is read differently than it was meant is worse than none.",
        next_step=f"correct {source} and try again",
    )


def _as_text(value: object) -> str:
    if isinstance(value, (date, datetime, time)):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not a TOML value")


def _explain(detail: ErrorDetails, model: type[BaseModel]) -> str:
    location = _without_tags(model, detail["loc"])
    path = _key_path(location)
    if detail["type"] == "extra_forbidden":
        allowed = _allowed_keys(model, detail["loc"][:-1])
        close = difflib.get_close_matches(str(location[-1]), allowed, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        return f"{path}: unknown key; allowed: {', '.join(allowed) or 'no key here'}{hint}"
    if detail["type"] == "missing":
        return f"{path}: this key is missing"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{path}: {message[:1].lower()}{message[1:]}; found {_shown(path, detail['input'])}"


def _shown(path: str, value: object) -> str:
    if _SECRET_NAME.search(path.rpartition(".")[2]):
        return f"a {type(value).__name__} (not shown)"
    if isinstance(value, (dict, list)):
        return f"a {'table' if isinstance(value, dict) else 'list'}"
    text = json.dumps(value, default=str, ensure_ascii=False)
    if _SECRET_VALUE.search(text):
        return f"a {type(value).__name__} that could be a key (not shown)"
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _key_path(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".") or "(top level)"


def _without_tags(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """The location as it stands in the file: without the names that pydantic gives to the members of a union."""
    models: list[type[BaseModel]] = [model]
    kept: list[int | str] = []
    for index, part in enumerate(location):
        inner = _step(models, part) if isinstance(part, str) else models
        if inner is not None:
            models = inner
        if inner is not None or index == len(location) - 1:
            kept.append(part)
    return tuple(kept)


def _allowed_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    models: list[type[BaseModel]] = [model]
    for part in location:
        if isinstance(part, str):
            inner = _step(models, part)
            models = _tagged(models, part) if inner is None else inner
    return sorted({field.alias or name for each in models for name, field in each.model_fields.items()})


def _step(models: list[type[BaseModel]], part: str) -> list[type[BaseModel]] | None:
    """The models that the field `part` may hold; None when no model has such a field."""
    fields = [field for each in models for name, field in each.model_fields.items() if part in {name, field.alias}]
    return [inner for field in fields for inner in _models_in(field.annotation)] if fields else None


def _tagged(models: list[type[BaseModel]], tag: str) -> list[type[BaseModel]]:
    """The members of a union that have `tag` as the literal value of a field."""
    return [
        each for each in models if any(tag in typing.get_args(field.annotation) for field in each.model_fields.values())
    ]


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [inner for argument in typing.get_args(annotation) for inner in _models_in(argument)]

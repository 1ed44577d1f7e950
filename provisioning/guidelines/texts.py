# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What rules say to people, in Swedish and English. Each rule file has a `.toml` of the same name beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Annotated, Final, Literal

from pydantic import Field, RootModel

from provisioning import strict_toml
from provisioning.errors import ConfigError
from provisioning.guidelines.errors import RuleError, UnknownRule
from provisioning.guidelines.pack import Section
from provisioning.guidelines.rules import FOLDER, all_rules

Language = Literal["sv", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("sv", "en")
ERROR_CASE: Final = "_error"
Words = Annotated[str, Field(min_length=1)]


class Bilingual(Section):
    """One text in both languages."""

    sv: Words
    en: Words

    def get(self, language: Language) -> str:
        """The text in a language."""
        return self.sv if language == "sv" else self.en


class RuleText(Section):
    """Everything a rule says."""

    source: Words
    """Section of the strategy of 2017, or the law."""
    title: Bilingual
    why: Bilingual
    do: tuple[Words, ...]
    """Lines to write into the record, or commands; `{id}` and the values of the message are filled in."""
    cases: dict[str, Bilingual]
    """The messages, by the name that the rule gives them; `name.variant` falls back to `name`."""


class _File(RootModel[dict[str, RuleText]]):
    pass


_ERROR: Final = Bilingual(
    sv="Regeln kunde inte prövas: {why}. Det räknas som ett fel.",
    en="The rule could not be decided: {why}. That counts as a failure.",
)


@lru_cache(maxsize=1)
def all_texts() -> dict[str, RuleText]:
    """The texts of every rule. Raises RuleError where a rule has none, or there are texts without a rule."""
    found: dict[str, RuleText] = {}
    for path in sorted(FOLDER.glob("*.toml")):
        try:
            found |= strict_toml.load(path, _File).root
        except ConfigError as error:
            raise RuleError(error.state, value=error.value, next_step=f"correct {path.name}") from error
    rules = all_rules()
    if found.keys() != rules.keys():
        wrong = sorted(found.keys() ^ rules.keys())
        raise RuleError("Rules and their texts do not match.", value=", ".join(wrong))
    return found


def text_of(rule_id: str) -> RuleText:
    """The texts of one rule. Raises UnknownRule."""
    try:
        return all_texts()[rule_id]
    except KeyError as error:
        raise UnknownRule(
            "There is no rule with this id.", value=rule_id, next_step="lykta rules list shows all of them"
        ) from error


def case_text(rule_id: str, case: str) -> Bilingual:
    """The message of one case of a rule."""
    if case == ERROR_CASE:
        return _ERROR
    cases = text_of(rule_id).cases
    return cases.get(case) or cases[case.partition(".")[0]]


def fill(template: str, values: Mapping[str, object], language: Language) -> str:
    """Fill values into a text, written as people write them in that language; what is not known is a dash."""
    return re.sub(r"\{(\w+)\}", lambda found: shown(values.get(found[1]), language), template)


def shown(value: object, language: Language) -> str:
    """A value for people: numbers with one decimal at most, no control characters."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return {"sv": ("nej", "ja"), "en": ("no", "yes")}[language][value]
    if isinstance(value, float):
        text = f"{value:.1f}".removesuffix(".0")
        return text.replace(".", ",") if language == "sv" else text
    if isinstance(value, Mapping):  # a value that has a text of its own in each language
        return str(value.get(language, "–"))
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(shown(each, language) for each in value) or "–"
    return printable(str(value))


def printable(text: str) -> str:
    """Text without characters that would move a terminal's cursor."""
    return "".join(each if each.isprintable() else " " for each in text)


def language_of_locale() -> Language:
    """Swedish where the locale is Swedish, English everywhere else."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "sv" if value.lower().startswith("sv") else "en"
    return "en"

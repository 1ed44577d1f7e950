# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Options that several commands have, declared once: a command takes what they mean, not the options one by one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

Function = Callable[..., Any]


def sharing(**shared: Function) -> Callable[[Function], Function]:
    """Give a command, in the place of each parameter named here, the options that a function has as its parameters.

    The command gets what that function returns. Typer reads options from a signature, so the command gets a new one.
    """

    def decorate(function: Function) -> Function:
        parameters, taken = _spread(function, shared)

        @functools.wraps(function)
        def run(**given: Any) -> Any:
            for name, made_of in taken.items():
                given[name] = shared[name](**{each: given.pop(each) for each in made_of})
            return function(**given)

        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


def _spread(
    function: Function, shared: dict[str, Function]
) -> tuple[list[inspect.Parameter], dict[str, tuple[str, ...]]]:
    """The parameters of the command as people see it, and which of them belong to each shared one."""
    parameters: list[inspect.Parameter] = []
    taken: dict[str, tuple[str, ...]] = {}
    for parameter in _resolved(function):
        if parameter.name in shared:
            inner = _resolved(shared[parameter.name])
            taken[parameter.name] = tuple(each.name for each in inner)
            parameters += inner
        else:
            parameters.append(parameter)
    return parameters, taken


def _resolved(function: Function) -> list[inspect.Parameter]:
    hints = get_type_hints(function, include_extras=True)
    return [
        each.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[each.name])
        for each in inspect.signature(function).parameters.values()
    ]

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The two ends of the pipeline, links and platforms: built from a configuration, and changed for those of another one.

What a reload does not change goes on undisturbed: its sockets and ports stay open, so no frame is dropped.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from gateway import links, platforms, plugins
from gateway.outbox.feed import Feed
from gateway.sealing import seal_beside
from provisioning.errors import SecretError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from gateway.clock import Clock
    from gateway.config import Loaded
    from gateway.identity import Identity
    from gateway.links import Link, Recognise, Sink
    from gateway.operate.counters import Counters
    from gateway.operate.stages import Stages
    from gateway.outbox.feed import Call
    from gateway.platforms import Commands, Directory, Platform
    from gateway.plugins import Settings
    from gateway.supervisor import Supervisor

_PLATFORM_GRACE_S = 120.0
"""Beyond its longest pause: name look-ups and connections may hang that long."""


@dataclass
class Built:
    """Links and platforms of one configuration, none of them started."""

    links: dict[str, tuple[Settings, Link]] = field(default_factory=dict)
    platforms: dict[str, tuple[bytes, Platform]] = field(default_factory=dict)
    """By name, with a digest of all that they were built of."""
    priorities: dict[str, int] = field(default_factory=dict)
    """Of platforms, by name."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What another configuration changed, by name."""

    started: tuple[str, ...]
    stopped: tuple[str, ...]
    adopted: tuple[str, ...]


class Ends:
    """The links and platforms that run."""

    def __init__(
        self,
        clock: Clock,
        counters: Counters,
        random: Random,
        stages: Stages,
        call: Call,  # type: ignore[type-arg]
        recognise: Recognise,
        directory: Directory | None = None,
        commands: Commands | None = None,
    ) -> None:
        self._clock = clock
        self._counters = counters
        self._random = random
        self._stages = stages
        self._call = call
        self._recognise = recognise
        self._directory = directory
        self._commands = commands
        self._built = Built()
        self.feeds: dict[str, Feed] = {}

    @property
    def links(self) -> dict[str, Link]:
        """By name."""
        return {name: link for name, (_, link) in self._built.links.items()}

    @property
    def platforms(self) -> dict[str, Platform]:
        """By name."""
        return {name: platform for name, (_, platform) in self._built.platforms.items()}

    def link(self, name: str) -> Link:
        """Return one link. Raises KeyError."""
        return self._built.links[name][1]

    def build(self, loaded: Loaded, identity: Identity) -> Built:
        """Build everything of a configuration, start nothing. Raises what a link or platform finds wrong."""
        built = Built()
        for settings in loaded.links:
            link = plugins.load(links, settings.type).build(settings, self._clock, self._counters)
            introduce = getattr(link, "introduce", None)
            if introduce is not None:
                introduce(self._recognise)
            built.links[settings.name] = settings, link
        for settings in loaded.config.platforms:
            beat = _beat(self._stages, settings.name)
            context = platforms.Context(
                identity.eui, identity.certificate_pem, loaded.base, loaded.secret, self._counters, self._random, beat,
                loaded.state_dir, self._directory, self._commands, partial(seal_beside, identity, self._clock),
                loaded.worker,
            )  # fmt: skip
            platform: Any = plugins.load(platforms, settings.type).build(settings, context)
            built.platforms[settings.name] = _digest(settings, loaded, identity), platform
            built.priorities[settings.name] = getattr(settings, "priority", 0)
        return built

    def take(self, built: Built) -> None:
        """Make *built* the ends before the start."""
        self._built = built
        self.feeds = {name: self._feed(name) for name in built.platforms}

    def start(self, tasks: Supervisor, sink: Sink) -> None:
        """Start everything."""
        for name in self._built.links:
            self._start_link(tasks, name, sink)
        self.start_platforms(tasks)

    def start_platforms(self, tasks: Supervisor) -> None:
        """Start what takes stored readings away."""
        for name in self._built.platforms:
            self._start_platform(tasks, name)

    async def stop_changed(self, tasks: Supervisor, built: Built) -> list[str]:
        """First half of a reload: stop the platforms that *built* changes or does not have; return their names."""
        old = self._built.platforms
        stopped = [name for name in old if name not in built.platforms or built.platforms[name][0] != old[name][0]]
        await tasks.stop(*(_platform_task(name) for name in stopped))
        for name in stopped:
            with suppress(OSError):  # then some envelopes are published again
                await self.feeds[name].flush()
            self._stages.remove(_platform_task(name))
            del old[name]
        return stopped

    async def change(self, tasks: Supervisor, built: Built, sink: Sink, stopped: list[str]) -> Changes:
        """Second half: start the platforms that are missing, and bring the links to what *built* says."""
        started: list[str] = []
        self._built.priorities = built.priorities
        for name in [each for each in self.feeds if each not in built.platforms]:
            del self.feeds[name]
        for name, (digest, platform) in built.platforms.items():
            if name not in self._built.platforms:
                self._built.platforms[name] = digest, platform
                self.feeds.setdefault(name, self._feed(name)).wake()
                self._start_platform(tasks, name)
                started.append(name)
        adopted: list[str] = []
        for name, (settings, link) in list(self._built.links.items()):
            wanted = built.links.get(name)
            if wanted is not None and wanted[0] == settings:
                continue
            adopt = getattr(link, "adopt", None)
            if wanted is not None and adopt is not None and adopt(wanted[0]):
                self._built.links[name] = wanted[0], link
                adopted.append(name)
                continue
            await tasks.stop(_link_task(name))
            self._stages.remove(_link_task(name))
            del self._built.links[name]
            stopped.append(name)
        for name, (settings, link) in built.links.items():
            if name not in self._built.links:
                self._built.links[name] = settings, link
                self._start_link(tasks, name, sink)
                started.append(name)
        return Changes(tuple(started), tuple(stopped), tuple(adopted))

    async def last_pubacks(self, patience_s: float) -> None:
        """Wait, not for long, until those who are connected have everything."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + patience_s
        while loop.time() < end_s and any(  # noqa: ASYNC110 - three conditions in two objects, for two seconds
            platform.in_flight is not None and (platform.in_flight or not self.feeds[name].idle)
            for name, platform in self.platforms.items()
        ):
            await asyncio.sleep(0.02)

    def _feed(self, name: str) -> Feed:
        return Feed(name, self._call, partial(self._gives_way, name))

    def _gives_way(self, name: str) -> bool:
        """Tell whether a platform that comes before this one is there and has not got everything."""
        priorities, found = self._built.priorities, self._built.platforms
        return any(
            priorities[other] > priorities.get(name, 0)
            and platform.in_flight is not None
            and not self.feeds[other].idle
            for other, (_, platform) in found.items()
            if other in self.feeds and other in priorities
        )

    def _start_link(self, tasks: Supervisor, name: str, sink: Sink) -> None:
        link: Any = self._built.links[name][1]
        if hasattr(link, "watch"):
            self._stages.add(_link_task(name), link.longest_turn_s)
            link.watch(partial(self._stages.beat, _link_task(name)))
        tasks.start(_link_task(name), lambda: link.run(sink))

    def _start_platform(self, tasks: Supervisor, name: str) -> None:
        platform, feed = self._built.platforms[name][1], self.feeds[name]
        self._stages.add(_platform_task(name), getattr(platform, "longest_pause_s", 0.0) + _PLATFORM_GRACE_S)
        tasks.start(_platform_task(name), lambda: platform.run(feed))

    def task_names(self) -> tuple[list[str], list[str]]:
        """Return the names of the links' tasks and of the platforms'."""
        return [_link_task(name) for name in self._built.links], [
            _platform_task(name) for name in self._built.platforms
        ]


def _link_task(name: str) -> str:
    return f"link {name}"


def _platform_task(name: str) -> str:
    return f"platform {name}"


def _beat(stages: Stages, name: str) -> Callable[[], None]:
    return lambda: stages.beat(_platform_task(name))


def _digest(settings: Settings, loaded: Loaded, identity: Identity) -> bytes:
    """Return a digest of the settings, of the certificate, and of every file and secret that the settings name.

    So a certificate that was renewed under the same name is noticed.
    """
    found = hashlib.sha256(identity.certificate_pem)
    dumped = settings.model_dump(mode="json")
    found.update(json.dumps(dumped, sort_keys=True).encode())
    for text in sorted(_texts(dumped)):
        if text.startswith(("file:", "env:", "credential:")):
            try:
                found.update(loaded.secret(text))
            except SecretError:
                continue  # a name that only looks like a reference
        elif len(text) < 4096 and "\0" not in text and (path := loaded.base / text).is_file():
            found.update(path.read_bytes())
    return found.digest()


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)

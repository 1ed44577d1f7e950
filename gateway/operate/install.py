# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""``lykta-gateway install``: from an enrolled gateway's directory to a systemd service.

Secrets become systemd credentials: files of root that the service gets copies of, in memory, as nobody else does.
Nothing is moved away, and nothing that is there is overwritten but by newer files of the same gateway.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import config
from gateway.errors import InstallError
from provisioning.secret_refs import load_secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.config import Loaded

UNITS = Path(__file__).parent / "units"
USER = "lykta"
PREFIX = "lykta_"
"""Of credentials that systemd loads from a directory under the name lykta."""
CREDENTIALS = Path("/etc/lykta/credentials")
_ETC = Path("etc/lykta")
_STATE = "/var/lib/lykta"
_UNIT = "lykta-gateway.service"
_WORKER, FRONT, TARGET = "lykta-gateway-worker@.service", "lykta-gateway-front.service", "lykta-gateway-workers.target"
_ALL = (_UNIT, _WORKER, FRONT, TARGET)
_PORT_LINKS = ("serial", "ble")
_REFERENCE = re.compile(r'"(file|env):([^"]+)"')
_SQLITE = re.compile(r'"sqlite:///([^"]+)"')
_STATE_DIR = re.compile(r'(?m)^(\s*state_dir\s*=\s*)"[^"]*"')
_TEXT = re.compile(r'"([^"\n]+)"')


@dataclass
class Plan:
    """What an installation will put where; paths are below the root."""

    text: str
    """gateway.toml as it will be."""
    credentials: dict[str, bytes] = field(default_factory=dict)
    copies: dict[Path, Path] = field(default_factory=dict)
    """By target."""
    register: Path | None = None
    """The register's SQLite file, which the service has to share."""
    devices: bool = False
    workers: int = 1

    @property
    def units(self) -> list[str]:
        """The units that run this gateway, in the order in which they start."""
        if self.workers == 1:
            return [_UNIT]
        return [*(_WORKER.replace("@", f"@{each}") for each in range(1, self.workers + 1)), FRONT, TARGET]


def plan(source: Path) -> Plan:
    """Read everything that an installation needs. Raises ConfigError, SecretError, IdentityError, InstallError."""
    loaded = config.load(source)
    config.load_identity(loaded)
    made = Plan(loaded.path.read_text(encoding="utf-8"))
    made.workers = loaded.config.workers.count
    made.devices = any(link.type in _PORT_LINKS for link in loaded.links)

    def credential(match: re.Match[str]) -> str:
        reference = f"{match[1]}:{match[2]}"
        name = _credential_name(match[2], made.credentials)
        made.credentials[name] = load_secret(reference, loaded.base)
        return f'"credential:{PREFIX}{name}"'

    made.text = _REFERENCE.sub(credential, made.text)
    made.text = _with_absolute_register(made, loaded)
    made.text = _with_copies(made, loaded)
    line = f'state_dir = "{_STATE}"'
    made.text, found = _STATE_DIR.subn(rf'\g<1>"{_STATE}"', made.text, count=1)
    if not found:
        made.text = made.text.replace("[gateway]", f"[gateway]\n{line}", 1)
    return made


def _credential_name(path: str, taken: dict[str, bytes]) -> str:
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", Path(path).name)
    number = 2
    base = name
    while name in taken:
        name, number = f"{base}.{number}", number + 1
    return name


def _with_absolute_register(made: Plan, loaded: Loaded) -> str:
    def absolute(match: re.Match[str]) -> str:
        made.register = (loaded.base / match[1]).resolve()
        return f'"sqlite:///{made.register}"'

    return _SQLITE.sub(absolute, made.text)


def _with_copies(made: Plan, loaded: Loaded) -> str:
    """Files that the configuration names by a relative path go where the configuration goes."""

    def copied(match: re.Match[str]) -> str:
        path = Path(match[1])
        if path.is_absolute() or match[1].startswith("credential:") or not (loaded.base / path).is_file():
            return match[0]
        made.copies[_ETC / path.name] = loaded.base / path
        return f'"{path.name}"'

    return _TEXT.sub(copied, made.text)


def put(made: Plan, root: Path, chown: Callable[[Path], None]) -> list[Path]:
    """Put everything in place below *root*; return what was written. *chown* gives a path to the service's user.

    Raises InstallError, OSError.
    """
    etc = root / _ETC
    target = etc / "gateway.toml"
    if target.is_file() and _eui(target.read_text(encoding="utf-8")) != _eui(made.text):
        raise InstallError(
            f"{target} belongs to another gateway ({_eui(target.read_text(encoding='utf-8'))}). Two gateways on one "
            f"machine need a directory each; move that one away, or purge the package first."
        )
    credentials = etc / "credentials"
    etc.mkdir(mode=0o755, parents=True, exist_ok=True)
    credentials.mkdir(mode=0o700, exist_ok=True)
    written = [_write(credentials / name, secret, 0o600) for name, secret in made.credentials.items()]
    for name, source in made.copies.items():
        written.append(_write(root / name, source.read_bytes(), 0o644))
    written.append(_write(target, made.text.encode(), 0o644))
    written += _units(made, root)
    if made.register is not None:
        _share(made.register, chown)
    return written


def _units(made: Plan, root: Path) -> list[Path]:
    written = []
    program = shutil.which("lykta-gateway")
    for unit in _ALL:
        if (root / "usr/lib/systemd/system" / unit).is_file():
            continue
        text = (UNITS / unit).read_text(encoding="utf-8")
        if program is not None:
            text = text.replace("/usr/bin/lykta-gateway", program)
        written.append(_write(root / "etc/systemd/system" / unit, text.encode(), 0o644))
    if written:
        sysusers = (UNITS / "sysusers.conf").read_bytes()
        written.append(_write(root / "etc/sysusers.d/lykta.conf", sysusers, 0o644))
    devices = root / "etc/systemd/system" / f"{_UNIT}.d" / "devices.conf"
    if made.devices:
        written.append(_write(devices, (UNITS / "devices.conf").read_bytes(), 0o644))
    else:
        devices.unlink(missing_ok=True)
    if made.register is not None:
        lines = f"[Service]\nReadWritePaths={made.register.parent}\n"
        for unit in (_UNIT, _WORKER):
            path = root / "etc/systemd/system" / f"{unit}.d" / "register.conf"
            written.append(_write(path, lines.encode(), 0o644))
    return written


def _share(register: Path, chown: Callable[[Path], None]) -> None:
    """Let the service read and write the register. SQLite keeps files beside it, so also its directory, sticky.

    Sticky: the service can neither remove nor replace what belongs to root there, such as the city's keys.
    """
    for path in (register, *register.parent.glob(f"{register.name}-*")):
        chown(path)
    stat = register.parent.stat()
    chown_group = getattr(chown, "group", None)
    if chown_group is not None:
        chown_group(register.parent)
    register.parent.chmod((stat.st_mode & 0o7777) | 0o1070)


def _write(path: Path, data: bytes, mode: int) -> Path:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.chmod(mode)
    temporary.replace(path)
    return path


def _eui(text: str) -> str:
    found = re.search(r'(?m)^\s*eui\s*=\s*"([0-9a-f]{16})"', text)
    return found[1] if found else "unknown"

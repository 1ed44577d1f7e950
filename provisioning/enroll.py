# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Enroll a gateway: a key of its own, a certificate from the city, a configuration that is ready to run."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from provisioning import pki
from provisioning.city import City, toml_string
from provisioning.database import resolve_url
from provisioning.errors import AlreadyExists, ConfigError, ProvisioningError
from provisioning.identities import check_eui, new_eui, parse_eui
from provisioning.private_files import PUBLIC_MODE, make_directory, write_new
from provisioning.registry import Gateway

CONFIG_NAME = "gateway.toml"
KEY_NAME = "gateway.key.pem"
CERTIFICATE_NAME = "gateway.cert.pem"
DEFAULT_SERIAL_PORT = "/dev/ttyACM0"
DEFAULT_LORA_BIND = "127.0.0.1:1700"
_BIND = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})")


@dataclass(frozen=True)
class Broker:
    """Where an MQTT broker listens."""

    host: str = "127.0.0.1"
    port: int = 1883

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Lora:
    """Where packet forwarders reach the gateway by UDP, and which of them are let in, by EUI."""

    forwarders: tuple[bytes, ...]
    bind: str = DEFAULT_LORA_BIND


def parse_lora(bind: str | None, forwarders: list[str]) -> Lora | None:
    """The LoRa link from what a person wrote; None when that is nothing. Raises ConfigError, InvalidIdentity."""
    if bind is None and not forwarders:
        return None
    if not forwarders:
        raise ConfigError(
            "A LoRa link needs the packet forwarders that it is to hear.",
            value=bind,
            reason="The protocol authenticates nobody, so the gateway hears registered forwarders only.",
            next_step="add --forwarder EUI, once for each",
        )
    euis = tuple(parse_eui(text, "packet forwarder's EUI") for text in forwarders)
    if len(set(euis)) < len(euis):
        raise ConfigError("A packet forwarder is listed twice.", value=", ".join(forwarders))
    return Lora(euis) if bind is None else Lora(euis, _checked_bind(bind))


def _checked_bind(text: str) -> str:
    match = _BIND.fullmatch(text)
    try:
        right = match is not None and int(match[3]) < 65536 and bool(ip_address(match[1] or match[2]))
    except ValueError:
        right = False
    if not right:
        raise ConfigError(
            "This is not an address to listen on.",
            value=repr(text[:80]),
            reason="It is an IP address of this computer and a UDP port.",
            next_step="write ADDRESS:PORT, for example 127.0.0.1:1700 or [::1]:1700",
        )
    return text


def parse_broker(text: str) -> Broker:
    """A broker from `host`, `host:port` or `[v6 address]:port`. Raises ConfigError."""
    host, separator, port = text.rpartition(":")
    if not separator or text.endswith("]"):
        host, port = text, "1883"
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port[:6]) < 65536:
        raise ConfigError(
            "This is not the address of a broker.", value=repr(text[:80]), next_step="write host:port, or [::1]:1883"
        )
    return Broker(host, int(port))


def enroll_gateway(
    city: City,
    name: str,
    out: Path,
    *,
    eui: bytes | None = None,
    serial_ports: Sequence[str] = (DEFAULT_SERIAL_PORT,),
    lora: Lora | None = None,
    ble: bool = False,
    broker: Broker | None = None,
) -> Gateway:
    """Make the directory `out` with key, certificate and gateway.toml, and add the gateway to the register.

    Its links are the serial ports, the packet forwarders of `lora`, Bluetooth LE, or several. Either all of it happens
    or none.
    Raises AlreadyExists when `out` holds anything, DuplicateEntry when the EUI or the name is taken.
    """
    eui = new_eui() if eui is None else eui
    check_eui(eui, "gateway EUI")
    out = out.absolute()
    _refuse_used(out)
    links, key = _links(serial_ports, lora, ble), pki.new_key()
    certificate = pki.issue_gateway_certificate(city.ca_key(), city.ca_certificate(), key.public_key(), eui, name)
    pem = pki.certificate_pem(certificate)
    make_directory(out.parent)
    staging = out.with_name(f".{out.name}.enroll-{eui.hex()}")
    with city.registry() as registry:
        registry.refuse_known_gateway(eui, name)
        try:
            staging.mkdir(mode=0o700)
            write_new(staging / KEY_NAME, pki.private_key_pem(key))
            write_new(staging / CERTIFICATE_NAME, pem, PUBLIC_MODE)
            write_new(staging / CONFIG_NAME, _config(city, eui, name, links, broker or Broker()), PUBLIC_MODE)
            gateway = registry.add_gateway(
                eui,
                name,
                certificate_pem=pem.decode(),
                certificate_sha256=pki.fingerprint(certificate),
                not_after=certificate.not_valid_after_utc,
            )
            staging.rename(out)
        except OSError as error:
            raise ProvisioningError(f"The gateway's files cannot be written: {error.strerror}.", value=out) from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)  # gone already when all went well
    return gateway


def _refuse_used(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise AlreadyExists(
            "The directory for the gateway's files is not empty. Nothing was changed.",
            value=out,
            reason="A gateway's key is never overwritten: what it signed could not be told from forgery.",
            next_step="choose another --out directory",
        )


def _links(serial_ports: Sequence[str], lora: Lora | None, ble: bool) -> str:
    tables = [
        f"""[[links]]
type = "serial"
name = "{"serial" if number == 1 else f"serial-{number}"}"
port = {toml_string(port)}
baud = 115200
"""
        for number, port in enumerate(serial_ports, 1)
    ]
    if lora is not None:
        forwarders = "".join(f'\n[[links.gateways]]\neui = "{forwarder.hex()}"\n' for forwarder in lora.forwarders)
        tables.append(f"""# Packet forwarders send to this UDP port; those that are not listed are refused.
[[links]]
type = "lora"
name = "lora"
bind = {toml_string(lora.bind)}
{forwarders}""")
    if ble:
        tables.append("""# The first Bluetooth adapter that is switched on; adapter = "hci1" chooses another.
[[links]]
type = "ble"
name = "ble"
""")
    return "\n".join(tables)


def _config(city: City, eui: bytes, name: str, links: str, broker: Broker) -> bytes:
    register = city.config.register_
    url = resolve_url(register.url, city.home).render_as_string(hide_password=False)
    kek = _absolute(city, register.kek)
    password = "" if register.password is None else f"password = {toml_string(_absolute(city, register.password))}\n"
    return f"""# Gateway {name} of {city.config.city.name}. Relative paths are relative to this file.
# Check it with: lykta-gateway check-config --config {CONFIG_NAME}
[gateway]
eui = "{eui.hex()}"
state_dir = "state"
key = "file:{KEY_NAME}"
certificate = "{CERTIFICATE_NAME}"

[register]
url = {toml_string(url)}
kek = {toml_string(kek)}
{password}
# One table for each link. /dev/serial/by-id/... keeps its name when boards are plugged in another order.
{links}
[[platforms]]
type = "mqtt"
name = "city"
host = {toml_string(broker.host)}
port = {broker.port}
commands = true  # signed ones, from whom lykta commander lists

# The city's rules, as lykta rules install puts them there: what is heard is watched, and nothing is switched off.
[guidelines]
pack = {toml_string(str(city.home / "rules" / "pack.cose"))}

# The status page, metrics and health, for a browser on this computer.
[operate]
listen = "127.0.0.1:8470"
""".encode()


def _absolute(city: City, ref: str) -> str:
    return f"file:{city.home / ref.removeprefix('file:')}" if ref.startswith("file:") else ref

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Whether a gateway's platform can be reached from here, and if not, at which step: name, port, TLS, the broker's word.

It connects under a name of its own, so that the session of a gateway that runs is left alone.
"""

from __future__ import annotations

import http.client
import secrets
import socket
import ssl
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509
from paho.mqtt import MQTTException
from paho.mqtt.client import Client, ConnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from provisioning.bench import clocks
from provisioning.bench.finding import Finding
from provisioning.broker_access import Access, TlsSocket
from provisioning.errors import SecretError
from provisioning.secret_refs import load_secret

_CONNECT_S: Final = 5.0
_ANSWER_S: Final = 5.0
_UNSUPPORTED_VERSION: Final = 132  # MQTT 5, 2.4
_NOT_YET, _ENDED, _OTHER_NAME, _OTHER_ADDRESS = 9, 10, 62, 64  # OpenSSL's X509_V_ERR_*


def examine(platform: Mapping[str, Any], base: Path) -> list[Finding]:
    """Try one table [[platforms]] of a gateway's configuration; *base*: what its paths are relative to."""
    name = str(platform.get("name", "?"))
    if "host" in platform:
        host, port, https = str(platform["host"]), int(platform.get("port", 1883)), platform.get("tls") is not None
    elif "url" in platform:
        parts = urlsplit(str(platform["url"]))
        https = parts.scheme == "https"
        host, port = parts.hostname or "", parts.port or (443 if https else 80)
    else:
        return []
    try:
        tls = _context(platform.get("tls") or {}, base) if https else None
    except OSError as error:  # ssl.SSLError is one
        text = f"The files in [platforms.tls] of {name} do not load."
        return [Finding("broker_files", "fault", text, "", "correct the paths in the configuration", str(error))]
    where = f"{host}:{port}"
    try:
        if "url" in platform:
            return _http(name, host, port, tls)
        return _mqtt(name, host, port, _access(platform, base, tls))
    except SecretError as error:
        text = f"{name} was not tried: {error.state}"
        why = "Its password lies where only the service may read it."
        return [
            Finding("broker_not_tried", "warning", text, why, "the same again as root, or: lykta-gateway status", where)
        ]
    except (OSError, MQTTException, http.client.HTTPException) as error:
        return [_why(name, host, port, error)]


def _context(tls: Mapping[str, Any], base: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(base / tls["ca"]) if tls.get("ca") else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = TlsSocket
    if tls.get("cert"):
        context.load_cert_chain(base / tls["cert"], base / tls["key"] if tls.get("key") else None)
    return context


def _access(platform: Mapping[str, Any], base: Path, tls: ssl.SSLContext | None) -> Access:
    user, ref = platform.get("username"), platform.get("password")
    return Access(tls, user, None if ref is None else load_secret(str(ref), base).decode(errors="replace"))


def _mqtt(name: str, host: str, port: int, access: Access) -> list[Finding]:
    for protocol in (MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311):
        answer = _connack(host, port, access, protocol)
        if answer is not None and not (answer.is_failure and answer.value == _UNSUPPORTED_VERSION):
            break
    where = f"{host}:{port}"
    if answer is None:
        hint = "it may expect TLS: add [platforms.tls]" if access.tls is None else "it may be no MQTT broker"
        text = f"{name} takes the connection and does not answer as an MQTT broker."
        return [Finding("broker_no_mqtt", "fault", text, "No reading gets there.", f"check the port; {hint}", where)]
    if answer.is_failure:
        text = f"The broker of {name} refuses this gateway: {answer}."
        why = "It answers, and does not take the name, the password or the certificate that was shown."
        return [
            Finding("broker_refuses", "fault", text, why, "correct username and password, or its access rules", where)
        ]
    version = "5" if protocol == MQTTProtocolVersion.MQTTv5 else "3.1.1"
    return [Finding("broker", "ok", f"{name}: {where} answers, MQTT {version}{_until(host, port, access.tls)}")]


def _connack(host: str, port: int, access: Access, protocol: MQTTProtocolVersion) -> ReasonCode | None:
    """What the broker says to a CONNECT; None: nothing that is MQTT. Raises OSError."""
    answers: list[ReasonCode] = []

    def take(_c: Client, _d: Any, _f: ConnectFlags, reason: ReasonCode, _p: Properties | None) -> None:
        answers.append(reason)

    client = Client(CallbackAPIVersion.VERSION2, client_id=f"lykta-doctor-{secrets.token_hex(5)}", protocol=protocol)
    access.equip(client)
    client.connect_timeout = _CONNECT_S
    client.on_connect = take
    client.connect(host, port, 20)
    over_s = time.monotonic() + _ANSWER_S
    try:
        while not answers and time.monotonic() < over_s:
            if client.loop(0.2) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                break
    except (MQTTException, ValueError, IndexError, KeyError):  # what paho raises for bytes that are no MQTT
        pass
    finally:
        client.disconnect()
    return answers[0] if answers else None


def _http(name: str, host: str, port: int, tls: ssl.SSLContext | None) -> list[Finding]:
    line = (
        http.client.HTTPConnection(host, port, timeout=_CONNECT_S)
        if tls is None
        else http.client.HTTPSConnection(host, port, timeout=_CONNECT_S, context=tls)
    )
    try:
        line.request("HEAD", "/")
        answer = line.getresponse()
        told = answer.getheader("Date")
    finally:
        line.close()
    found = [Finding("broker", "ok", f"{name}: {host}:{port} answers, HTTP{_until(host, port, tls)}")]
    try:
        ahead_s = time.time() - parsedate_to_datetime(told or "").timestamp()
    except ValueError:
        return found
    if abs(ahead_s) > 60 + clocks.ALLOWED_S:
        side = "ahead of" if ahead_s > 0 else "behind"
        text = f"The clock is {abs(ahead_s):.0f} s {side} that of {name}."
        why = "Readings carry a wrong time, or that server's clock is wrong."
        found.append(
            Finding("clock_differs", "warning", text, why, "lykta doctor --time-server HOST measures", told or "")
        )
    return found


def _why(name: str, host: str, port: int, error: BaseException) -> Finding:
    """An error of connecting, as a finding."""
    where = f"{host}:{port}"
    waits = "Readings wait in the outbox; nothing is lost until it is full."
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate(name, host, port, error)
    if isinstance(error, socket.gaierror):
        text = f"The name of {name} is not known: {host}."
        return Finding(
            "broker_name",
            "fault",
            text,
            waits,
            f"getent hosts {host}; see /etc/resolv.conf, and the spelling",
            str(error),
        )
    if isinstance(error, ConnectionRefusedError):
        text = f"Nobody listens where {name} should be."
        return Finding(
            "broker_refused", "fault", text, waits, "start the broker; check host and port, and its firewall", where
        )
    if isinstance(error, TimeoutError):
        text = f"{name} does not answer within {_CONNECT_S:g} s."
        return Finding(
            "broker_silent", "fault", text, waits, "a firewall on the way, a wrong address, or the broker hangs", where
        )
    if isinstance(error, ssl.SSLError):
        text = f"TLS with {name} fails."
        why = f"{waits} A port without TLS, a certificate of ours that it does not take, or a TLS that is too old."
        return Finding(
            "broker_tls", "fault", text, why, "check the port, and [platforms.tls]", f"{where}: {error.reason or error}"
        )
    text = f"{name} cannot be reached."
    return Finding(
        "broker_unreachable",
        "fault",
        text,
        waits,
        "ip route; ping the broker; check the gateway's own network",
        f"{where}: {error}",
    )


def _certificate(name: str, host: str, port: int, error: ssl.SSLCertVerificationError) -> Finding:
    shown = _peer(host, port)
    ends = (
        ""
        if shown is None
        else f", valid {shown.not_valid_before_utc:%Y-%m-%d} to {shown.not_valid_after_utc:%Y-%m-%d}"
    )
    evidence = f"{host}:{port}: {error.verify_message}{ends}"
    if error.verify_code == _ENDED:
        text = f"The certificate of {name} has expired."
        return Finding(
            "broker_certificate_expired",
            "fault",
            text,
            "Whoever answers there may be somebody else.",
            "have the broker's certificate renewed; if it is valid, this clock is ahead",
            evidence,
        )
    if error.verify_code == _NOT_YET:
        text = f"The certificate of {name} is not valid yet."
        return Finding(
            "broker_certificate_early",
            "fault",
            text,
            "Its time has not come by this computer's clock.",
            "set the clock: timedatectl; lykta doctor --time-server HOST measures",
            evidence,
        )
    if error.verify_code in (_OTHER_NAME, _OTHER_ADDRESS):
        text = f"The certificate of {name} is for another name than {host}."
        return Finding(
            "broker_certificate_name",
            "fault",
            text,
            "Whoever answers there may be somebody else.",
            "write the host as the certificate has it",
            evidence,
        )
    text = f"The certificate of {name} is of an authority that this gateway does not know."
    return Finding(
        "broker_certificate_authority",
        "fault",
        text,
        "Whoever answers there may be somebody else.",
        "name the broker's authority: ca = FILE in [platforms.tls]",
        evidence,
    )


def _peer(host: str, port: int) -> x509.Certificate | None:
    """The certificate that a server shows, whatever it is worth; for the eyes of a person only."""
    try:
        return x509.load_pem_x509_certificate(ssl.get_server_certificate((host, port), timeout=_CONNECT_S).encode())
    except (OSError, ValueError):
        return None


def _until(host: str, port: int, tls: ssl.SSLContext | None) -> str:
    shown = None if tls is None else _peer(host, port)
    return "" if shown is None else f", its certificate until {shown.not_valid_after_utc:%Y-%m-%d}"

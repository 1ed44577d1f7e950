# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the gateway refuses or cannot do. One root; every type is also a built-in kind."""

from __future__ import annotations

import re
from typing import ClassVar


class GatewayError(Exception):
    """Root of everything the gateway raises on purpose."""


class AlreadyRunning(GatewayError, RuntimeError):
    """Another gateway process uses the same state directory."""


class NotRunning(GatewayError, ConnectionError):
    """No gateway process uses the state directory."""


class NotDivided(GatewayError, ValueError):
    """The state in the directory is not divided among workers as the configuration says."""


class ReloadRefused(GatewayError, ValueError):
    """The new configuration cannot be taken while the gateway runs; the old one stays."""


class InstallError(GatewayError, OSError):
    """The service cannot be installed here."""


class IdentityError(GatewayError, ValueError):
    """The gateway's key and certificate do not fit each other or the configured EUI."""


class UnknownPlugin(GatewayError, LookupError):
    """A link or platform type for which there is no file."""


class LinkError(GatewayError, OSError):
    """A link cannot be opened, or went away."""


class LinkBusy(LinkError):
    """The line does not take more bytes at the moment; the frame was not sent."""


class StoreUnavailable(GatewayError, OSError):
    """The disk does not take what must be durable (full, read-only, failing). It may again later."""


class MountOutlived(GatewayError, OSError):
    """The disk takes writes again, and this process cannot see it: systemd gave it a copy of the read-only mount."""


class StoreCorrupt(GatewayError, ValueError):
    """A database file is damaged: it must be set aside before anything can be stored."""


class OutboxFull(GatewayError, OSError):
    """The outbox holds ``max_bytes`` of unpublished records. Nothing is dropped; nothing more is accepted."""


class WrongReceipt(GatewayError, ValueError):
    """A platform signs for records that this gateway never sent, or sent with other content."""


class UnknownStream(WrongReceipt):
    """A platform signs for a stream that never left this process: another worker's, where there are several."""


class QueueFull(GatewayError, OSError):
    """As many downlinks as one device may have wait already."""


class CannotSign(GatewayError, RuntimeError):
    """The certificate has ended, or the clock says so: nobody would accept what is signed now."""


class CommandRefused(GatewayError, PermissionError):
    """A command that does not count, or not for a device. *reason* is the name that counters and answers use."""

    def __init__(self, reason: str, why: str, left_out: dict[str, str] | None = None) -> None:
        super().__init__(why)
        self.reason = reason
        self.left_out = left_out or {}
        """Why each of its devices does not take it, by DevEUI in hex digits."""


class PlatformError(GatewayError, ConnectionError):
    """A platform cannot be reached, refused us, or went away."""


class ProtocolRefused(PlatformError):
    """The broker does not speak this version of MQTT."""


class TryLater(PlatformError):
    """A platform asks for patience, ``after_s`` seconds of it."""

    def __init__(self, message: str, after_s: float) -> None:
        super().__init__(message)
        self.after_s = after_s


class NotTaken(PlatformError):
    """A platform will never take what it was sent, whole as it is: in parts, it may take some."""


class OutputRefused(PlatformError):
    """The register does not allow what an output is to carry."""


class Refused(GatewayError, ValueError):
    """Root of the reasons for which a frame goes no further.

    ``reason`` is the name that counters and logs use: that of the class, unless it says another (``reason="..."``).
    """

    reason: ClassVar[str] = "refused"

    def __init_subclass__(cls, *, reason: str | None = None) -> None:
        super().__init_subclass__()
        cls.reason = reason or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()

    def __init__(self, message: str, *, dev_eui: bytes | None = None, dev_addr: int | None = None) -> None:
        super().__init__(message)
        self.dev_eui = dev_eui
        self.dev_addr = dev_addr


class MalformedFrame(Refused, reason="malformed"):
    """Not a LoRaWAN 1.0.4 uplink, or its payload is not what its port carries."""


class FrameNotAuthentic(Refused, reason="not_authentic"):
    """The message integrity code was not made with the device's key."""


class ReplayedFrame(Refused, reason="replayed"):
    """Authentic, but its frame counter was used before."""


class UnknownDevice(Refused, LookupError):
    """The register does not list this DevEUI, or lists it under another JoinEUI."""


class OtherWorker(Refused, LookupError):
    """The device belongs to another worker of this gateway; the front should have sent its frame there."""


class UnknownAddress(Refused, LookupError):
    """No session has this device address."""


class RetiredDevice(Refused, PermissionError):
    """The register lists the device as retired."""


class WrongNonce(Refused):
    """DevNonce or JoinNonce does not move forward (TS001-1.0.4 section 6.2.5)."""


class UnsupportedPort(Refused):
    """An FPort on which this gateway takes nothing."""


class UnsupportedType(Refused):
    """A message type that does not travel from a device to the network."""


class WrongProfile(Refused):
    """What the register or the configuration says of a device's radio is nothing that a device can have."""


class AddressesExhausted(Refused):
    """No free device address under the network's prefix was found."""


class UnreadableSession(Refused):
    """The stored keys of the session do not open: the KEK or the file was changed."""

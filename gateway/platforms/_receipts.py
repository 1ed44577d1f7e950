# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Where signed receipts of a platform come in: checked against the certificates of the configuration, then noted."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from cryptography import x509

from consumer.errors import ConsumerError
from consumer.receipts import ReceiptReader
from gateway.errors import PlatformError, StoreUnavailable, UnknownStream, WrongReceipt
from gateway.operate.logs import EventLog, Seldom
from gateway.outbox.receipted import Held

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.outbox.feed import Feed
    from gateway.platforms import Context

_MAX_WAITING = 256
"""Every receipt says all that is held: of a flood the newest are enough."""


class ReceiptDesk:
    """Takes messages from the broker one by one and acts on them in a task of its own."""

    def __init__(self, platform: str, files: Sequence[str], resend_after_s: float, context: Context) -> None:
        self._platform = platform
        self._context = context
        self._resend_after_s = resend_after_s
        self._log = EventLog("platforms.receipts")
        self._seldom = Seldom()
        self._waiting: deque[bytes] = deque(maxlen=_MAX_WAITING)
        self._news = asyncio.Event()
        self.gone = 0
        """Records that the platform lacks and that are not here any more."""
        self._reader = self._read(files) if files else None

    @property
    def open(self) -> bool:
        """Whether receipts are taken at all."""
        return self._reader is not None

    def put(self, _topic: str, message: bytes) -> None:
        """Take a message as it came."""
        self._waiting.append(message)
        self._news.set()

    async def serve(self, feed: Feed) -> None:
        """Act on receipts, and now and then put back what the platform lacks, until cancelled."""
        loop = asyncio.get_running_loop()
        look_at_s = loop.time() + self._resend_after_s
        while True:
            try:
                async with asyncio.timeout_at(look_at_s):
                    await self._news.wait()
            except TimeoutError:
                look_at_s = loop.time() + self._resend_after_s
                await self._send_again(feed)
            self._news.clear()
            while self._waiting:
                await self._take(self._waiting.popleft(), feed)

    async def _take(self, message: bytes, feed: Feed) -> None:
        if self._reader is None:
            return
        try:
            receipt = self._reader.read(message)
            await feed.receipted(Held(receipt.stream_id, receipt.held, receipt.digest))
        except (ConsumerError, WrongReceipt) as error:
            if self._context.worker and isinstance(error, UnknownStream):
                self._count("receipts_of_others")  # every worker hears all of them
                return
            self._count("receipts_refused")
            if self._seldom.allow(type(error).__name__) is not None:
                self._log.warning("receipt_refused", platform=self._platform, why=error)
        except StoreUnavailable as error:
            if self._seldom.allow("store") is not None:
                self._log.warning("receipt_not_noted", platform=self._platform, why=error)
        else:
            self._count("receipts")

    async def _send_again(self, feed: Feed) -> None:
        try:
            count, gone = await feed.send_again(), await feed.gone()
        except StoreUnavailable as error:
            self._log.warning("not_sent_again", platform=self._platform, why=error)
            return
        if gone != self.gone:
            self.gone = gone
            if gone:
                why = "the platform receipted them before, or they were given up; what it holds shows which"
                self._log.error("records_gone", platform=self._platform, records=gone, why=why)
        if count:
            self._count("sent_again", count)
            self._log.warning("sent_again", platform=self._platform, envelopes=count, why="the platform lacks them")

    def _count(self, what: str, by: int = 1) -> None:
        self._context.counters.add("platforms", f"{self._platform}_{what}", by)

    def _read(self, files: Sequence[str]) -> ReceiptReader:
        certificates = []
        for name in files:
            try:
                certificates += x509.load_pem_x509_certificates((self._context.base / name).read_bytes())
            except (OSError, ValueError) as error:
                raise PlatformError(f"{self._platform}: receipts: {name} does not load: {error}") from error
        try:
            return ReceiptReader(f"urn:dev:mac:{self._context.eui}", certificates)
        except ConsumerError as error:
            raise PlatformError(f"{self._platform}: receipts: {error}") from error

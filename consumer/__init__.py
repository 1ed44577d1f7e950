# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a city platform installs to check signed readings: cbor2 and cryptography, and nothing of the gateway.

Start with `consumer.verify.Verifier`; `consumer.inbox.Inbox` adds waiting for certificates. See docs/consuming.md.
"""

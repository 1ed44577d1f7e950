# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A virtual gateway: a multi-channel concentrator in the simulated air, and a packet forwarder (Semtech UDP)."""

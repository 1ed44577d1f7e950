# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""LoRaWAN 1.0.4 network side: joins, sessions, counters, MAC commands. Frames in, payloads in clear out."""

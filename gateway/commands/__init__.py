# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The way back: signed commands of platforms are judged by the register, queued durably, answered and signed."""

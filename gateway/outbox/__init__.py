# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The outbox: what was acknowledged to a device is here, on disk, until every platform has it."""

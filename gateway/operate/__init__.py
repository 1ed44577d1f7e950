# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the operator sees: logs, counters, and the lock that keeps a second daemon out."""

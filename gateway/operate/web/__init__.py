# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The status page, metrics and health, by HTTP: read-only, on loopback unless there are TLS and a login."""

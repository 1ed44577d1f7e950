# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Payload bytes to Reading to SenML to COSE. Pure: no files, no sockets, no clocks, no keys."""

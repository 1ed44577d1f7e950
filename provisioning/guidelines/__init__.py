# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The city's IoT guidelines: rules as functions, their numbers as a signed pack, one evaluation over both."""

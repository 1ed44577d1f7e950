# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The command line `lykta`. It parses, calls, prints and chooses the exit code; what is done is elsewhere."""

from provisioning.cli.app import main

__all__ = ["main"]

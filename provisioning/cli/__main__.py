# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`python -m provisioning.cli` is `lykta`."""

import sys

from provisioning.cli import main

sys.exit(main())

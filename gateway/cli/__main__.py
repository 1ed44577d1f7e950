# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`python -m gateway.cli` is `lykta-gateway`."""

import sys

from gateway.cli import main

sys.exit(main())

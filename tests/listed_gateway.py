# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta-gateway` that says at its end which modules it has loaded, as one more line of its log."""

import json
import sys

from gateway.cli import main

code = main()
print(json.dumps({"event": "loaded", "modules": sorted(sys.modules)}), file=sys.stderr, flush=True)
sys.exit(code)

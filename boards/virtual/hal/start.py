# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
# Where the interpreter begins: what main() of a port in C does. Leaves nothing of itself in the firmware's namespace.
import sys

sys.path[:] = [""]  # this folder, without its host name in tracebacks
import bootrom  # noqa: E402

bootrom.run()
del bootrom, sys

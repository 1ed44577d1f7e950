# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
# Where the interpreter begins: what main() of a port in C does. Leaves nothing of itself in the firmware's namespace.
import bootrom

bootrom.run()
del bootrom

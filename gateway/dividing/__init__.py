# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""``lykta-gateway divide``: the state of one process, or of some workers, becomes that of as many as are configured.

Everything is copied into a new folder, and a small file then says, in one step, that this is the state from now on. A
power cut before that changes nothing; what was there before stays where it was.
"""

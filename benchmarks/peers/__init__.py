# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The gateway beside others: each a module with a ``Contestant``, all over the same course (``course.run``)."""

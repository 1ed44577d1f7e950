# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The pole that a street light hangs on: it leans when a lorry has met it, and its door is opened.

Values to hold by hand: pole_tilt_deg, door_open. Events of a scenario: knocked, with the degrees; door_open.
"""

from boards.virtual.environment import Environment


class Pole:
    """Publishes the values into *environment*."""

    def __init__(self, environment: Environment) -> None:
        scenario = environment.scenario
        environment.publish(
            "pole_tilt_deg", lambda: 0.5 + min(89.0, scenario.event("knocked", environment.scenario_time_s()))
        )
        environment.publish("door_open", lambda: scenario.event("door_open", environment.scenario_time_s()))

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a luminaire draws from the mains, and what can go wrong with it.

Values to hold by hand, 0 or 1, and events of a scenario: dead_lamp (the driver idles), gear_failure (it is dead),
lamp_stuck (it burns whatever it is told), lamp_cycling (it goes out by itself and comes back).
"""

from collections.abc import Callable
from functools import partial

from boards.virtual.environment import Environment

FAULTS = ("dead_lamp", "gear_failure", "lamp_stuck", "lamp_cycling")
CYCLE_S = 16.0
_KELVIN_PER_W = 0.4  # how much hotter than the air the driver is


class Load:
    """*wanted* gives the share of light asked for, None without mains. Publishes load_power_w and more."""

    def __init__(
        self,
        data: tuple[float, float, float],
        environment: Environment,
        wanted: Callable[[], float | None],
    ) -> None:
        self._rated_w, self._driver_w, self._power_factor = data
        self._environment, self._wanted = environment, wanted
        self._energy_ws = 0.0
        self._counted_s = environment.counted_s()
        self._power_since = 0.0
        for name in FAULTS:
            environment.publish(name, partial(self._event, name))
        environment.publish("load_power_w", self.power_w)
        environment.publish("load_current_a", self.current_a)
        environment.publish("load_energy_wh", self.energy_wh)
        environment.publish("driver_temperature_c", self.temperature_c)

    def _event(self, name: str) -> float:
        return self._environment.scenario.event(name, self._environment.scenario_time_s())

    def fault(self, name: str) -> bool:
        """Whether it is there."""
        return self._environment.get(name) >= 0.5

    def lit(self) -> bool:
        """Whether there is light."""
        wanted = 1.0 if self.fault("lamp_stuck") else self._wanted()
        out = self.fault("lamp_cycling") and self._environment.now_s() % CYCLE_S >= CYCLE_S / 2
        return bool(wanted) and not (out or self.fault("gear_failure") or self.fault("dead_lamp"))

    def power_w(self) -> float:
        """Active power now."""
        wanted = 1.0 if self.fault("lamp_stuck") else self._wanted()
        if wanted is None or self.fault("gear_failure"):
            return 0.0
        return self._driver_w + (self._rated_w - self._driver_w) * (wanted if self.lit() else 0.0)

    def current_a(self) -> float:
        """RMS current now."""
        return self.power_w() / (max(1.0, self._environment.get("mains_voltage_v")) * self._power_factor)

    def temperature_c(self) -> float:
        """The driver's."""
        return self._environment.get("temperature_c") + _KELVIN_PER_W * self.power_w()

    def energy_wh(self) -> float:
        """Energy since the board process started: of the scenario's hours, however fast they pass."""
        self.changed()
        return self._energy_ws / 3600.0

    def changed(self) -> None:
        """What it draws is another from now on."""
        now_s = self._environment.counted_s()
        self._energy_ws += self._power_since * (now_s - self._counted_s)
        self._counted_s, self._power_since = now_s, self.power_w()

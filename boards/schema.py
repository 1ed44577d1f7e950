# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Schema of a board file: one for real and virtual boards alike, strict, with errors a person can act on.

A real board leaves out [virtual]. Boards are found by file name: boards/<name>.toml.
"""

import tomllib
import typing
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError, ValidatorFunctionWrapHandler
from pydantic.functional_validators import WrapValidator, model_validator

from boards import bench, facts, node_sensors, schema_light
from boards.bench import BenchTable
from boards.errors import SchemaError
from boards.facts import FactsTable
from boards.node_sensors import NodeSensor
from boards.schema_light import NodeDali, NodeMeterPulse
from boards.schema_lorawan import NodeLorawan
from boards.virtual import models
from boards.virtual.models import ModelConfig

FOLDER = Path(__file__).parent

PinNumber = Annotated[int, Field(ge=0, le=255)]
BusNumber = Annotated[int, Field(ge=0, le=15)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class BoardTable(_Table):
    """What the board is."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str
    vendor: str
    mcu: str
    clock_hz: int = Field(gt=0)
    heap_bytes: int = Field(ge=16_384)
    """What MicroPython has for objects and code."""
    mpy_version: int = Field(ge=5, le=9)
    """Major version of .mpy files that the board's MicroPython loads."""


class FlashTable(_Table):
    """The part of the flash that holds the file system."""

    bytes: int = Field(gt=0)
    block_bytes: int = Field(gt=0)
    program_bytes: int = Field(gt=0)

    @model_validator(mode="after")
    def _whole(self) -> "FlashTable":
        if self.bytes % self.block_bytes or self.block_bytes % self.program_bytes:
            raise ValueError("bytes must be whole blocks, and block_bytes whole program_bytes")
        return self


class PinsTable(_Table):
    """Which pins there are and which have an ADC."""

    gpio: list[PinNumber]
    adc: list[PinNumber]


class I2cPins(_Table):
    """Pins of an I2C controller."""

    id: BusNumber
    scl: PinNumber
    sda: PinNumber


class SpiPins(_Table):
    """Pins of an SPI controller."""

    id: BusNumber
    sck: PinNumber
    mosi: PinNumber
    miso: PinNumber


class UartPins(_Table):
    """Pins of a UART."""

    id: BusNumber
    tx: PinNumber
    rx: PinNumber


class BusesTable(_Table):
    """Controllers and the pins they are wired to."""

    i2c: list[I2cPins]
    spi: list[SpiPins]
    uart: list[UartPins]


class NodeI2c(_Table):
    """I2C as the firmware opens it."""

    id: BusNumber
    scl: PinNumber
    sda: PinNumber
    hz: int = Field(ge=1000, le=1_000_000)


class NodeUart(_Table):
    """UART as the firmware opens it."""

    id: BusNumber
    tx: PinNumber
    rx: PinNumber
    baud: int = Field(ge=300, le=3_000_000)


class NodeSpi(_Table):
    """SPI as the firmware opens it."""

    id: BusNumber
    sck: PinNumber
    mosi: PinNumber
    miso: PinNumber
    hz: int = Field(ge=100_000, le=20_000_000)


class NodeRadio(_Table):
    """LoRa radio; which lines there are depends on the chip."""

    chip: Literal["sx126x", "sx127x", "stm32wl"]
    spi: NodeSpi | None = None
    cs: PinNumber | None = None
    reset: PinNumber | None = None
    busy: PinNumber | None = None
    dio0: PinNumber | None = None
    dio1: PinNumber | None = None
    tx_enable: PinNumber | None = None
    rx_enable: PinNumber | None = None
    tcxo_mv: int | None = Field(default=None, ge=0, le=3300)
    tcxo_start_us: int | None = Field(default=None, ge=0, le=100_000)
    dio2_rf_switch: bool | None = None
    pa: Literal["sx1261", "sx1262", "boost", "rfo"] | None = None
    ldo: bool | None = None
    rx_boost: bool | None = None

    @model_validator(mode="after")
    def _complete(self) -> "NodeRadio":
        needed: dict[str, tuple[str, ...]] = {
            "sx126x": ("spi", "cs", "busy", "dio1"),
            "sx127x": ("spi", "cs", "dio0"),
            "stm32wl": (),
        }
        missing = [name for name in needed[self.chip] if getattr(self, name) is None]
        if missing:
            raise ValueError(f"chip {self.chip} needs {', '.join(missing)}")
        return self


class NodeTable(_Table):
    """The board map of the firmware; what a board has not is left out."""

    lamp_pin: PinNumber | None = None
    dim_pin: PinNumber | None = None
    dim_hz: int | None = Field(default=None, ge=1, le=40_000_000)
    photocell_adc: PinNumber | None = None
    i2c: NodeI2c | None = None
    temperature_addr: int | None = Field(default=None, ge=0x08, le=0x77)
    meter_uart: NodeUart | None = None
    meter_pulse: NodeMeterPulse | None = None
    dali: NodeDali | None = None
    sensors: list[NodeSensor] | None = None
    radio: NodeRadio | None = None
    lorawan: NodeLorawan | None = None
    wdt_ms: int | None = Field(default=None, ge=100, le=60_000)
    deep_sleep_s: int | None = Field(default=None, ge=1, le=86_400)
    """Where the processor has memory that outlives a deep sleep: the least wait that is worth one."""

    def as_map(self) -> dict[str, Any]:
        """Exactly the keys that the file gives."""
        return self.model_dump(exclude_none=True, by_alias=True)


def _model_config(value: Any, handler: ValidatorFunctionWrapHandler) -> ModelConfig:
    name = value.get("model") if isinstance(value, dict) else None
    try:
        config: type[ModelConfig] = models.load(str(name)).Config
    except LookupError:
        raise ValueError(f"no model of that name; known: {', '.join(models.names())}") from None
    return config.model_validate(value)


class VirtualTable(_Table):
    """What is soldered to a virtual board."""

    models: list[Annotated[SerializeAsAny[ModelConfig], WrapValidator(_model_config)]]


class BoardFile(_Table):
    """A whole board file."""

    board: BoardTable
    flash: FlashTable
    pins: PinsTable
    buses: BusesTable
    node: NodeTable
    facts: FactsTable | None = None
    """Of a real board; a virtual one has none."""
    bench: BenchTable | None = None
    """How a real board is recognised and flashed."""
    virtual: VirtualTable | None = None

    @property
    def models(self) -> list[ModelConfig]:
        """Simulated chips; none on a real board."""
        return self.virtual.models if self.virtual else []


def names() -> list[str]:
    """Boards there are."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_board(name_or_path: str | Path) -> BoardFile:
    """A board by its name (boards/<name>.toml) or the path of its file; SchemaError."""
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = FOLDER / f"{name_or_path}.toml"
        if path.stem not in names():
            raise SchemaError(f"no board {str(name_or_path)!r}. Known: {', '.join(names())}")
    try:
        return _parsed(path, path.read_text("utf-8"))
    except SchemaError:
        raise
    except (OSError, ValueError) as e:
        raise SchemaError(f"{path}: cannot be read as TOML: {e}") from e


@lru_cache(maxsize=64)
def _parsed(path: Path, text: str) -> BoardFile:
    """Each of many boards on a bench asks for the same files: what stands in one is understood once."""
    data = tomllib.loads(text)
    try:
        board = BoardFile.model_validate(data)
    except ValidationError as e:
        raise SchemaError("\n".join(_explain(path, error) for error in e.errors())) from None
    problems = _cross_check(board)
    if problems:
        raise SchemaError("\n".join(f"{path}: {problem}" for problem in problems))
    return board


def _explain(path: Path, error: Any) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).lstrip(".")
    if error["type"] == "extra_forbidden":
        allowed = ", ".join(sorted(_fields_at(error["loc"][:-1])))
        return f"{path}: unknown key {where} = {error['input']!r}; allowed here: {allowed}"
    if error["type"] == "missing":
        return f"{path}: {where} is missing: {error['msg']}"
    return f"{path}: {where} = {error['input']!r}: {error['msg']}"


def _fields_at(location: tuple[int | str, ...]) -> set[str]:
    table: Any = BoardFile
    for part in location:
        if isinstance(part, int):
            continue
        if not (isinstance(table, type) and issubclass(table, BaseModel)) or part not in table.model_fields:
            return set()
        table = _table_of(table.model_fields[part].annotation)
    return set(table.model_fields) if isinstance(table, type) and issubclass(table, BaseModel) else set()


def _table_of(annotation: Any) -> Any:
    # list[Table], Table | None and Annotated[...] all lead to Table.
    for inner in typing.get_args(annotation):
        found = _table_of(inner)
        if isinstance(found, type) and issubclass(found, BaseModel):
            return found
    return annotation


def _cross_check(board: BoardFile) -> list[str]:
    node = board.node
    uses = {f"node.{key}": getattr(node, key) for key in ("lamp_pin", "dim_pin", "photocell_adc")}
    for key, bus in (("i2c", node.i2c), ("meter_uart", node.meter_uart)):
        if bus is not None:
            uses |= {f"node.{key}.{role}": pin for role, pin in bus.model_dump().items() if role in _ROLES}
    uses |= _radio_pins(node.radio) | node_sensors.pins(node.sensors) | schema_light.pins(node.dali, node.meter_pulse)
    uses = {key: pin for key, pin in uses.items() if pin is not None}
    problems = _pin_problems(uses, set(board.pins.gpio), "node")
    controllers: list[I2cPins | SpiPins | UartPins] = [*board.buses.i2c, *board.buses.spi, *board.buses.uart]
    wired = {
        f"buses.{type(bus).__name__[:-4].lower()}[{bus.id}].{role}": pin
        for bus in controllers
        for role, pin in bus.model_dump().items()
        if role != "id"
    }
    problems += _pin_problems(wired, set(board.pins.gpio), "buses")
    problems += [f"pins.adc: pin {pin} is not in pins.gpio" for pin in board.pins.adc if pin not in board.pins.gpio]
    if node.photocell_adc is not None and node.photocell_adc not in board.pins.adc:
        problems.append(f"node.photocell_adc = {node.photocell_adc}: no ADC there; pins.adc = {board.pins.adc}")
    uarts = {bus.id: (bus.tx, bus.rx) for bus in board.buses.uart}
    problems += node_sensors.problems(node.sensors, board.pins.adc, node.i2c, uarts)
    problems += schema_light.problems(node.dim_pin, node.dali, node.meter_uart, node.meter_pulse)
    problems += facts.problems(board.facts, board.board.heap_bytes) + bench.problems(board.bench)
    return problems + _bus_problems(board) + _model_problems(board)


_ROLES = ("scl", "sda", "tx", "rx")
_RADIO_LINES = ("cs", "reset", "busy", "dio0", "dio1", "tx_enable", "rx_enable")


def _radio_pins(radio: NodeRadio | None) -> dict[str, int | None]:
    if radio is None:
        return {}
    lines = {f"node.radio.{name}": getattr(radio, name) for name in _RADIO_LINES}
    spi = radio.spi.model_dump(include={"sck", "mosi", "miso"}) if radio.spi else {}
    return lines | {f"node.radio.spi.{role}": pin for role, pin in spi.items()}


def _pin_problems(uses: dict[str, int], gpio: set[int], table: str) -> list[str]:
    problems = [
        f"{key} = {pin}: no such pin; pins.gpio = {sorted(gpio)}" for key, pin in uses.items() if pin not in gpio
    ]
    for pin, count in Counter(uses.values()).items():
        if count > 1:
            users = ", ".join(key for key, used in uses.items() if used == pin)
            problems.append(f"[{table}] pin {pin} is used more than once: {users}")
    return problems


def _bus_problems(board: BoardFile) -> list[str]:
    problems = []
    radio = board.node.radio
    pairs: list[tuple[str, NodeI2c | NodeUart | NodeSpi | None, Sequence[I2cPins | UartPins | SpiPins]]] = [
        ("i2c", board.node.i2c, board.buses.i2c),
        ("meter_uart", board.node.meter_uart, board.buses.uart),
        ("radio.spi", radio.spi if radio else None, board.buses.spi),
    ]
    for key, used, there in pairs:
        if used is None:
            continue
        match = [bus for bus in there if bus.id == used.id]
        if not match:
            problems.append(f"node.{key}.id = {used.id}: no such bus; there are {[bus.id for bus in there]}")
        problems += [
            f"node.{key}.{role} = {getattr(used, role)}: bus {bus.id} is wired to pin {pin}"
            for bus in match
            for role, pin in bus.model_dump().items()
            if role != "id" and getattr(used, role) != pin
        ]
    return problems


def _model_problems(board: BoardFile) -> list[str]:
    uses = {
        f"virtual.models[{i}].{key}": pin for i, model in enumerate(board.models) for key, pin in model.gpio().items()
    }
    problems = _pin_problems(uses, set(board.pins.gpio), "virtual")
    bus_ids = {
        "i2c": {bus.id for bus in board.buses.i2c},
        "spi": {bus.id for bus in board.buses.spi},
        "uart": {bus.id for bus in board.buses.uart},
    }
    taken: dict[tuple[str, int, int], int] = {}
    for i, model in enumerate(board.models):
        place = model.place()
        if place is None:
            continue
        if place[1] not in bus_ids[place[0]]:
            problems.append(f"virtual.models[{i}].{place[0]} = {place[1]}: there are {sorted(bus_ids[place[0]])}")
        if place in taken:
            problems.append(
                f"virtual.models[{i}]: {place[0]} {place[1]}, {place[2]:#x} is taken by models[{taken[place]}]"
            )
        taken[place] = i
    return problems

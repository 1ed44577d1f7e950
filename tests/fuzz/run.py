# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Many mutated inputs against one target: `python -m tests.fuzz.run udp --inputs 10000000`; `make fuzz` runs all.

With atheris (requirements/fuzz.txt) coverage guides the mutations; without it they are blind, seeded and repeatable. An
input that breaks something is printed as a line for tests/fuzz/corpus, where it stays for ever.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.fuzz import targets

MAX_BYTES = 4096
MAX_GROWTH_KB = 64 * 1024
HANGS_AFTER_S = 300
"""By a clock that goes on while a computer has other work or stands still; an input takes 50 ms at most."""
_KEPT_BYTES = 400
_INTERESTING = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"{",
    b"}",
    b"[",
    b'"',
    b"\\u0000",
    b"1e309",
    b"-1",
    b"rxpk",
    b"\xa1",
)


def mutated(rng: random.Random, seeds: list[bytes]) -> bytes:
    """Return a seed with some of its bytes changed, cut, doubled, or crossed with another seed's."""
    draw = rng.random  # randrange costs ten times as much, which was a third of an input
    data = bytearray(seeds[int(draw() * len(seeds))])
    for _ in range(1 + int(draw() * 5)):
        at = int(draw() * (len(data) + 1))
        match int(draw() * 6):
            case 0 if data:
                data[at % len(data)] ^= 1 << int(draw() * 8)
            case 1 if data:
                data[at % len(data)] = int(draw() * 256)
            case 2:
                data[at:at] = _INTERESTING[int(draw() * len(_INTERESTING))]
            case 3:
                del data[at : at + 1 + int(draw() * 8)]
            case 4:
                data[at:at] = data[at : at + int(draw() * 64)]
            case _:
                other = seeds[int(draw() * len(seeds))]
                data[at:] = other[int(draw() * (len(other) + 1)) :]
    return bytes(data[:MAX_BYTES])


def blind(target: Callable[[bytes], None], seeds: list[bytes], inputs: int, seed: int) -> None:
    """Run a target over so many inputs. Raises what it lets out, with the input in a note."""
    rng = random.Random(seed)
    settled_kb, began = 0, time.monotonic()
    for number in range(inputs):
        if number % 1000 == 0:
            faulthandler.dump_traceback_later(HANGS_AFTER_S, exit=True)
        data = seeds[number] if number < len(seeds) else mutated(rng, seeds)
        try:
            target(data)
        except BaseException as error:
            faulthandler.cancel_dump_traceback_later()
            error.add_note(f"seed {seed}, input {number}: {data.hex()}")
            raise
        if number == inputs // 4:
            settled_kb = _rss_kb()
        if number and number % 500_000 == 0:
            print(f"{number} inputs, {number / (time.monotonic() - began):.0f}/s, {_rss_kb() // 1024} MB", flush=True)
    faulthandler.cancel_dump_traceback_later()
    grown_kb = _rss_kb() - settled_kb
    assert grown_kb < MAX_GROWTH_KB, f"memory grew by {grown_kb} kB in the last three quarters"


def guided(name: str, seeds: list[bytes], inputs: int, seed: int, keep: bool) -> int:
    """Run under atheris, in a process of its own; return its exit code. With *keep* the corpus takes what went deep."""
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(seeds):
            (Path(folder) / f"seed-{number}").write_bytes(data)
        command = [
            sys.executable, "-m", "tests.fuzz.guided", name, folder, f"-runs={inputs}", f"-seed={seed & 0x7FFFFFFF}",
            f"-max_len={MAX_BYTES}", f"-timeout={HANGS_AFTER_S}", "-rss_limit_mb=700",
            f"-artifact_prefix={folder}/broke-", "-print_final_stats=1",
        ]  # fmt: skip
        code = subprocess.run(command, check=False).returncode
        for path in Path(folder).glob("broke-*"):
            print(f"add this line to tests/fuzz/corpus/{name}.txt:\n{path.read_bytes().hex()}")
        if keep and not code:
            _keep(name, Path(folder))
    return code


def _keep(name: str, folder: Path) -> None:
    """Add what reached new code, and is short enough to be kept."""
    lines = targets.corpus(name)
    found = {path.read_bytes().hex() for path in folder.iterdir() if 0 < path.stat().st_size <= _KEPT_BYTES}
    fresh = sorted(found.difference(lines))
    targets.path_of(name).write_text("\n".join([*lines, *fresh]) + "\n")
    print(f"{name}: {len(lines)} inputs were kept, {len(fresh)} are new")


def _rss_kb() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=targets.NAMES)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--blind", action="store_true", help="without coverage, even where atheris is installed")
    parser.add_argument("--keep", action="store_true", help="add what reaches new code to tests/fuzz/corpus")
    options = parser.parse_args()
    print(f"{options.target}: {options.inputs} inputs, seed {options.seed}", flush=True)
    logging.disable()
    with tempfile.TemporaryDirectory(dir=targets.MEMORY) as folder:
        gateway = targets.Gateway(Path(folder))
        try:
            seeds = targets.seeds(options.target, gateway.device)
            if not options.blind:
                return guided(options.target, seeds, options.inputs, options.seed, options.keep)
            blind(gateway.target(options.target), seeds, options.inputs, options.seed)
        finally:
            gateway.close()
    print("nothing broke")
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0

# How long `make demo` runs, in seconds; without it, until Ctrl-C.
FOR ?=
# Which episode `make torture` replays.
SEED ?=
# How its boards reach the gateway, and how many: make demo DEVICES=30 FOR=60, make demo LINK=serial
LINK ?= lora
DEVICES ?= 1
# What they are: street_light, waste_bin or traffic.
KIND ?= street_light
# The size of `make lora-city`: devices, and simulated hours.
CITY ?= 3000
HOURS ?= 2
# Where `make hil` runs: virtual, or the TOML file of a lab (docs/hil-lab.md).
RIG ?= virtual
# How many processes share the tests. Many of them wait for a radio, so more than there are processors.
JOBS ?= 4
# Another interpreter: make demo PYTHON=python3.12
export PYTHON

# The releases of Debian that `make deb` packs for.
SUITES ?= bookworm trixie

# How often `make powercut-test` cuts the power.
CUTS ?= 5

# How many inputs `make fuzz` tries against each target.
INPUTS ?= 10000000

SHELL := bash
BIN := .venv/bin
PORTS := esp32 rp2 stm32

.PHONY: outputs-test sensorthings-test scenarios updates-test update-cuts update-times ble-test ble-vm-test demo-bench cables cortexm cortexm-frozen cortexm-test help demo test hil lora-city screenshots deb deb-test fuzz torture soak lint lint-style lint-types lint-firmware lint-words lint-imports bench bytecode bench-peers extra esptool lock clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

demo: ## boards, a gateway, a broker and a verifier on this computer, until Ctrl-C or FOR=30; DEVICES=30, LINK=serial, LINK=all
	@tools/venv.sh run $(if $(filter all ble,$(LINK)),virtual)
	@$(BIN)/lykta demo --link $(LINK) --devices $(DEVICES) --kind $(KIND) $(if $(FOR),--for $(FOR))

# No columns in tracebacks: Python 3.11 finds them with its parser, and one that is called while it works ends the whole run.
test: ## every test (installs mosquitto, libfaketime and Node.js if it may; otherwise says so). ARGS="-k cobs" chooses
	@tools/venv.sh run test
	@tools/venv.sh esptool || echo "esptool: NOT INSTALLED, because the lines above; its tests are not run"
	@tools/system_packages.sh
	@tools/independent_codec.sh
	@PYTHONNODEBUGRANGES=1 PATH="$(CURDIR)/$(BIN):$$PATH:/usr/sbin" $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup --no-loadscope-reorder -p tests.second_look $(ARGS)

torture: ## FOR=3600 seconds of random faults against the daemon, judged by an oracle; SEED=n replays one episode
	@tools/venv.sh run test
	@tools/system_packages.sh
	@LYKTA_FRESH_S=10 LYKTA_TORTURE_ROUNDS=5 LYKTA_TORTURE_S=$(or $(FOR),3600) LYKTA_TORTURE_SEED=$(SEED) $(BIN)/python -m pytest -s -m "" -p no:cacheprovider tests/torture $(ARGS)

soak: ## HOURS=24 hours of a city at SPEED=5, the broker out for ten minutes of each: nothing lost, twice, or growing
	@tools/venv.sh run test
	@tools/system_packages.sh
	@$(BIN)/python benchmarks/soak.py $(HOURS) $(or $(SPEED),5)

demo-bench: ## a blank virtual board is flashed, enrolled, joins, reports, is updated, and comes back from a bad update
	@tools/venv.sh run extra
	@$(BIN)/lykta rehearse --kind $(KIND)

updates-test: ## signed updates to running boards: by cable, by Bluetooth, through a gateway in waves, by LoRa in fragments
	@tools/venv.sh run test
	@$(BIN)/python -m pytest -m "" --timeout 900 tests/test_bench_update.py tests/test_update_board.py tests/test_ble_update.py tests/test_end_to_end_rollout.py tests/test_update_ble_rollout.py tests/test_update_radio.py $(ARGS)

update-cuts: ## 200 random cable pulls, power cuts and resets while a board is updated, 30 more through a gateway, and a cut at every flash operation
	@tools/venv.sh run test
	@$(BIN)/python -m pytest -s -m slow --timeout 7200 tests/test_update_cuts.py tests/test_update_release.py $(ARGS)

update-times: ## how long a release takes, all of it or one changed file, by cable and by LoRa, to a lamp and to a bin in deep sleep: some hours of this computer
	@tools/venv.sh run test
	@for way in "serial" "serial delta" "lora" "lora delta" "bin delta" "bin"; do $(BIN)/python benchmarks/updates.py $$way || exit 1; done

cables: ## 200 random cable pulls, power cuts and resets during installs: the board always boots into a whole version; more while esptool writes
	@tools/venv.sh run test esptool
	@$(BIN)/python -m pytest -s -m slow --timeout 7200 tests/test_bench_install.py tests/test_bench_esptool.py $(ARGS)

lora-city: ## CITY=3000 simulated LoRa devices for HOURS=2 of simulated time, every frame accounted for
	@tools/venv.sh run test
	@LYKTA_CITY_DEVICES=$(CITY) LYKTA_CITY_HOURS=$(HOURS) $(BIN)/python -m pytest -s tests/test_lora_thousand.py $(ARGS)

hil: ## every test of a device in the hand: virtual ones, or those of RIG=lab.toml; a report with pictures in build/hil
	@tools/venv.sh run test
	@$(BIN)/python -m pytest -m "" -s --timeout 600 --rig $(RIG) --report build/hil --junitxml build/hil/junit.xml \
	  $(if $(filter hil_tests%,$(ARGS)),,hil_tests $(if $(filter virtual,$(RIG)),tests/test_hil_lab.py)) $(ARGS)

scenarios: ## what the city receives of each kind in each scenario, faults too, and a day of a bin in deep sleep (half an hour)
	@tools/venv.sh run test
	@tools/system_packages.sh
	@$(BIN)/python -m pytest hil_tests/roles tests/test_node_deep_sleep.py tests/test_role_on_micropython.py -m "" -s --timeout 1200 $(ARGS)

deb: ## the Debian packages, for bookworm and trixie, into dist/
	@tools/venv.sh run
	@for suite in $(SUITES); do tools/deb.sh $$suite || exit 1; done

deb-test: deb ## installs, starts, upgrades and purges them in fresh Debian roots (needs root and systemd-nspawn)
	@for suite in $(SUITES); do tools/debian_root.sh $$suite && tools/deb_test.sh $$suite || exit 1; done

ble-vm-test: ## the packaged gateway on the real BlueZ of Debian 13, in an emulated machine that is made once (needs root)
	@tools/venv.sh run test
	@tools/ble_vm/build.sh
	@$(BIN)/python -m pytest -s -m "" -n0 -p no:cacheprovider tests/ble_vm $(ARGS)

ble-test: ## every test of Bluetooth, the long ones too, but for the one in the emulated machine
	@tools/venv.sh run test
	@tools/system_packages.sh
	@PATH="$(CURDIR)/$(BIN):$$PATH:/usr/sbin" $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m "" tests/test_*ble*.py tests/test_end_to_end_commands.py $(ARGS)

powercut-test: ## the power of an emulated machine is cut CUTS=5 times while it stores readings, and a file system filled: what was told is there (needs root)
	@tools/venv.sh run test
	@tools/ble_vm/build.sh
	@LYKTA_POWER_CUTS=$(CUTS) $(BIN)/python -m pytest -s -m "" -n0 -p no:cacheprovider tests/powercut $(ARGS)

outputs-test: ## long tests of outputs: one that the register refuses, and one whose receipts lack what nobody has any more
	@tools/venv.sh run test
	@tools/system_packages.sh
	@$(BIN)/python -m pytest -n0 -m "" tests/test_refused_output.py tests/test_receipts_gone.py $(ARGS)

sensorthings-test: ## the SensorThings output against a service of others, installed into build/sensorthings, on loopback
	@tools/venv.sh run test
	@tools/sensorthings.sh
	@$(BIN)/python -m pytest -n0 -m "" tests/test_sensorthings_service.py $(ARGS)

fuzz: ## INPUTS=10000000 mutated inputs over each of serial, UDP, MQTT, authentic payloads and commands, guided by coverage
	@tools/venv.sh run test fuzz
	@for target in serial udp mqtt payload command; do PYTHONPATH=. $(BIN)/python -m tests.fuzz.run $$target --inputs $(INPUTS) || exit 1; done

screenshots: ## pictures of the status page, light and dark, on a desk and on a phone, into build/screenshots
	@tools/venv.sh run test
	@PYTHONPATH=. $(BIN)/python tools/screenshots.py

cortexm: ## MicroPython for an emulated Cortex-M3 with 128 KB of RAM, from Debian's source package
	@tools/cortexm.sh

build/cortexm/large.elf:
	@tools/cortexm.sh

cortexm-test: build/cortexm/large.elf ## each role on that board, built first if it is not there: 32-bit heap figures; fails when one does not fit
	@tools/venv.sh run test
	@$(BIN)/python benchmarks/cortexm.py

cortexm-frozen: build/cortexm/large.elf ## each role on that board with all its code frozen: the heap that is left to need, and the flash
	@tools/venv.sh run test
	@$(BIN)/python benchmarks/cortexm_frozen.py

lint: lint-style lint-imports lint-words lint-types lint-firmware ## style, import direction, spelling, types, types per board port

lint-style: .lint-tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint-imports: .lint-tools
	$(BIN)/lint-imports

lint-words: .lint-tools
	$(BIN)/codespell

lint-types: .lint-tools
	$(BIN)/mypy

lint-firmware: .lint-tools
	tools/check_firmware_types.sh $(PORTS)

.PHONY: .lint-tools
.lint-tools:
	@tools/venv.sh run test lint

bench: ## the numbers of README and docs/figures.md, measured on this computer; but for those of other commands
	@tools/venv.sh run test
	@for script in $(filter-out benchmarks/bench_peers.py,$(wildcard benchmarks/bench_*.py)); do echo "$$script"; $(BIN)/python "$$script" || exit 1; done

bytecode: ## what each module of the firmware costs a board, and what is left; ROW="waste_bin on lora" chooses, else each role with both radios
	@tools/venv.sh run test
	@$(BIN)/python benchmarks/bench_bytecode.py --modules "$(ROW)"

bench-peers: ## the gateway beside ThingsBoard's and Node-RED, installed into build/peers: ratios of one run (ten minutes)
	@tools/venv.sh run test
	@tools/system_packages.sh
	@tools/peers.sh
	@$(BIN)/python benchmarks/bench_peers.py

extra: ## what reports, the open-data catalogue and a register in PostgreSQL need
	@tools/venv.sh run extra

esptool: ## what lykta flash writes to an ESP32 with; under the GPL, so it is no part of the rest
	@tools/venv.sh run esptool

lock: ## pin requirements/*.in anew (UPGRADE=1 takes the newest versions)
	@tools/venv.sh lock
	@tools/lock.sh

clean: ## remove the environments and everything built or cached
	rm -rf .venv .venv-stubs build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache tests/independent/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

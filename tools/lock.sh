#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
#
# Writes requirements/*.txt from requirements/*.in: every version pinned, every wheel's hash beside it.
# Versions that still satisfy the .in files stay; UPGRADE=1 takes the newest.
# Where packages come from (an index, a mirror) is each machine's own setting and never part of the files.
set -euo pipefail
cd "$(dirname "$0")/../requirements"

export CUSTOM_COMPILE_COMMAND="make lock"
compile() { # compile NAME: the order below matters, as later files are constrained by earlier ones
  ../.venv/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --resolver=backtracking \
    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-config \
    ${UPGRADE:+--upgrade} --output-file "$1.txt" "$1.in"
  echo "requirements/$1.txt: $(grep -c '==' "$1.txt") packages"
}

for name in build run extra esptool virtual test fuzz sensorthings peers lint lock stubs-esp32 stubs-rp2 stubs-stm32; do
  compile "$name"
done

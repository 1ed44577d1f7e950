#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
#
# tools/check_firmware_types.sh PORT...   type-checks what runs on a board against MicroPython's own stubs of that port
# (esp32, rp2, stm32), so that a module, function or argument which that port does not have is found here and not on a pole.
# The stubs describe another standard library, hence a folder of their own and never .venv.
set -euo pipefail
cd "$(dirname "$0")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

install_stubs() { # install_stubs PORT: into a temporary folder first, so that an interrupted run leaves nothing half-made
  local folder=.venv-stubs/$1 pins
  pins=$(sha256sum "requirements/stubs-$1.txt" | cut -d' ' -f1)
  [ "$(cat "$folder/lykta.stamp" 2>/dev/null)" = "$pins" ] && return
  rm -rf "$folder" "$folder.new"
  mkdir -p "$folder.new"
  .venv/bin/python -m pip install --quiet --require-hashes --only-binary :all: --no-deps \
    --target "$folder.new" -r "requirements/stubs-$1.txt"
  printf '%s\n' "$pins" >"$folder.new/lykta.stamp"
  mv "$folder.new" "$folder"
}

status=0
for port in "$@"; do
  install_stubs "$port"
  printf '%s: ' "$port"
  MYPYPATH=".venv-stubs/$port" .venv/bin/mypy --config-file tools/firmware_types.ini \
    --custom-typeshed-dir ".venv-stubs/$port" --cache-dir ".mypy_cache/$port" || status=1
done
exit $status

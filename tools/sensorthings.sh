#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
#
# A SensorThings service of others, django-ogc-sensorthings, into an environment of its own: build/sensorthings.
# Versions and hashes are those of requirements/sensorthings.txt; where packages come from is this machine's own setting.
set -euo pipefail
cd "$(dirname "$0")/.."
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV PIP_TARGET PIP_USER PIP_REQUIRE_VIRTUALENV
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

folder=build/sensorthings
wanted=$(cat requirements/build.txt requirements/sensorthings.txt tools/sensorthings.sh | sha256sum)
[ "$(cat "$folder/lykta.stamp" 2>/dev/null)" = "$wanted" ] && exit 0 # the stamp is written last

echo "installing django-ogc-sensorthings into $folder ($(grep -c '==' requirements/sensorthings.txt) pinned packages)"
.venv/bin/python -m venv --clear "$folder"
install() {
  local said
  said=$("$folder/bin/python" -m pip install --quiet --no-deps --require-hashes "$@" 2>&1) && return
  printf '\n%s\n\nWith a network connection, run the same command again.\n' "$said" >&2
  exit 1
}
install --only-binary :all: -r requirements/build.txt
# sly, a parser, is published as source only; everything else is a wheel.
install --only-binary :all: --no-binary sly --no-build-isolation -r requirements/sensorthings.txt
printf '%s' "$wanted" >"$folder/lykta.stamp"

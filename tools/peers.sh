#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
#
# The gateways of others that `make bench-peers` measures, each into a folder of its own under build/peers:
# ThingsBoard IoT Gateway (Python, an environment of its own) and Node-RED (Node.js 18 or newer).
# Versions and hashes are those of requirements/peers.txt and benchmarks/peers/node_red_pinned/package-lock.json; where packages
# come from is this machine's own setting.
set -euo pipefail
cd "$(dirname "$0")/.."
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV PIP_TARGET PIP_USER PIP_REQUIRE_VIRTUALENV
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

stop() { printf '\n%s\n' "$@" >&2; exit 1; }
again="With a network connection, run the same command again."

is_made() { [ "$(cat "build/peers/$1/lykta.stamp" 2>/dev/null)" = "$2" ]; } # the stamp is written last

thingsboard() {
  local folder=build/peers/thingsboard wanted said
  wanted=$(cat requirements/build.txt requirements/peers.txt | sha256sum)
  is_made thingsboard "$wanted" && return
  echo "installing thingsboard-gateway into $folder ($(grep -c '==' requirements/peers.txt) pinned packages)"
  .venv/bin/python -m venv --clear "$folder"
  # Some of what it asks for is published as source only, so here a package may run code while it is installed.
  for file in build peers; do
    said=$("$folder/bin/python" -m pip install --quiet --no-deps --require-hashes --no-build-isolation -r "requirements/$file.txt" 2>&1) ||
      stop "$said" "pip could not install thingsboard-gateway (its last lines are above). $again"
  done
  printf '%s' "$wanted" >"$folder/lykta.stamp"
}

node_red() {
  local folder=build/peers/node_red wanted said
  command -v npm >/dev/null || tools/independent_codec.sh # which installs Node.js, or says how
  node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 18 ? 1 : 0)' ||
    stop "Node-RED needs Node.js 18 or newer, and this is $(node --version). Debian 12 and newer have one: apt-get install nodejs npm"
  wanted=$(cat benchmarks/peers/node_red_pinned/package*.json | sha256sum)
  is_made node_red "$wanted" && return
  echo "installing $(grep -o '"node-red": *"[^"]*"' benchmarks/peers/node_red_pinned/package.json) with npm into $folder"
  rm -rf "$folder"
  mkdir -p "$folder"
  cp benchmarks/peers/node_red_pinned/package*.json "$folder"
  said=$(cd "$folder" && npm ci --silent --ignore-scripts --no-audit --no-fund 2>&1) ||
    stop "$said" "npm could not install Node-RED (its last lines are above). $again"
  printf '%s' "$wanted" >"$folder/lykta.stamp"
}

thingsboard
node_red

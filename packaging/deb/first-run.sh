# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
# From a fresh Debian to a running service: docs/operating.md shows these lines, and `make deb-test` runs them.
apt-get install -y ./lykta_*.deb
lykta -C /srv/lykta init --city Exempelstad
lykta -C /srv/lykta gateway enroll gw-1 --out gw-1 --lora-bind 127.0.0.1:1700 --forwarder 0200000000000a01
lykta-gateway install --config gw-1/gateway.toml

#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
#
# Runs inside of the fresh Debian that tools/deb_test.sh boots.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
unit=lykta-gateway.service

ok() { echo "ok: $*"; }
fail() {
  echo "failed: $*"
  journalctl -u "$unit" -n 30 --no-pager || true
  systemctl status "$unit" --no-pager || true
  exit 1
}
wait_for() { # wait_for WHAT COMMAND...: within two minutes
  local what=$1
  shift
  for _ in $(seq 600); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.2
  done
  fail "waited in vain for $what"
}
main_pid() { systemctl show -p MainPID --value "$unit"; }
restarted() { [ "$(main_pid)" != "$1" ] && [ "$(main_pid)" != 0 ] && systemctl is-active -q "$unit"; }

cat /etc/debian_version
ip link set lo up 2>/dev/null || true
cd /share
set -x
. ./first-run.sh
set +x
systemctl is-active "$unit" || fail "it does not run"
ok "four commands, and the service runs"

lykta-gateway status || fail "status"
lykta-gateway check-config || fail "check-config"
ok "status and check-config know where the configuration is"

pid=$(main_pid)
[ "$(stat -c %U "/proc/$pid")" = lykta ] || fail "it does not run as lykta"
grep -q '^CapEff:[[:space:]]*0000000000000000$' "/proc/$pid/status" || fail "it has capabilities"
grep -q '^NoNewPrivs:[[:space:]]*1$' "/proc/$pid/status" || fail "it may get privileges"
grep -q '^Seccomp:[[:space:]]*2$' "/proc/$pid/status" || fail "it has no system call filter"
[ "$(stat -c %a /etc/lykta/credentials)" = 700 ] || fail "credentials are open"
[ "$(stat -c %a%U /srv/lykta/ca/ca.key.pem)" = 600root ] || fail "the service could read the city's key"
if runuser -u lykta -- cat /etc/lykta/credentials/kek >/dev/null 2>&1; then fail "the user lykta reads the secrets"; fi
ok "no capability, no new privilege, system calls filtered, secrets for root only"

score=$(systemd-analyze security --no-pager "$unit" | tail -1)
echo "$score"
journalctl -t lykta-gateway LYKTA_EVENT=ready -o verbose --no-pager | grep -q 'MESSAGE_ID=' || fail "no fields in the journal"
ok "the journal has fields"

systemctl reload "$unit" || fail "reload"
[ "$(main_pid)" = "$pid" ] || fail "a reload restarted it"
cp /etc/lykta/gateway.toml /share/good.toml
sed -i 's/^\[network\]/[netwrok]/; $a [nonsense]' /etc/lykta/gateway.toml
if systemctl reload "$unit" 2>/share/reload.txt; then fail "a wrong configuration was taken"; fi
[ "$(main_pid)" = "$pid" ] || fail "a refused reload ended it"
journalctl -t lykta-gateway LYKTA_EVENT=reload_refused --no-pager | grep -q nonsense || fail "nobody was told why"
cp /share/good.toml /etc/lykta/gateway.toml
systemctl reload "$unit" || fail "reload after the repair"
ok "reload takes what is right, refuses what is wrong and says why"

lykta -C /srv/lykta register --kind street_light --name lamp-1 || fail "register"
lykta -C /srv/lykta devices | grep -q lamp-1 || fail "devices"
lykta-gateway check-config || fail "the register is shared"
ok "devices are registered beside the running service"

kill -9 "$pid"
wait_for "a new process after kill -9" restarted "$pid"
ok "kill -9: it runs again"

mkdir -p /run/systemd/system/$unit.d
printf '[Service]\nWatchdogSec=4\n' >/run/systemd/system/$unit.d/watchdog.conf
systemctl daemon-reload
systemctl restart "$unit"
pid=$(main_pid)
sleep 6
[ "$(main_pid)" = "$pid" ] || fail "the watchdog killed a gateway that works"
kill -STOP "$pid"
wait_for "the watchdog to end a process that is stuck" restarted "$pid"
journalctl -u "$unit" --no-pager | grep -qi watchdog || fail "it was not the watchdog"
ok "stopped for good: the watchdog starts it again"
rm -r /run/systemd/system/$unit.d
systemctl daemon-reload

before=$(date +%s)
systemctl stop "$unit"
[ $(($(date +%s) - before)) -le 5 ] || fail "it took longer than 5 s to stop"
[ "$(systemctl show -p Result --value "$unit")" = success ] || fail "its end was no success"
systemctl start "$unit"
ok "an orderly end within 5 s"

echo '# mine' >>/etc/default/lykta-gateway
pid=$(main_pid)
apt-get install -y --reinstall ./lykta_*.deb >/dev/null
grep -q '^# mine' /etc/default/lykta-gateway || fail "a configuration file was overwritten"
restarted "$pid" || fail "the new version does not run"
ok "an upgrade keeps what the operator changed and runs the new version"

apt-get remove -y lykta >/dev/null
[ -f /etc/lykta/gateway.toml ] && [ -d /var/lib/lykta ] || fail "removal took the gateway's data"
if systemctl is-active -q "$unit"; then fail "it runs after its removal"; fi
apt-get install -y ./lykta_*.deb >/dev/null
systemctl start "$unit" || fail "it does not start after removal and installation"
ok "removed and installed again: it goes on with what it had"

apt-get purge -y lykta >/dev/null
left=$(find /etc /var/lib /usr/lib /usr/bin /usr/share -iname '*lykta*' ! -path '/var/lib/apt/*' ! -path '/var/lib/dpkg/*' 2>/dev/null || true)
[ -z "$left" ] || fail "purge left $left"
if getent passwd lykta >/dev/null; then fail "purge left the user"; fi
[ -f /srv/lykta/register.db ] || fail "purge took the city's register"
ok "purge leaves nothing but the city's own directory"

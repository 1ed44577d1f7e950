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

cp /etc/lykta/gateway.toml /share/with-platforms.toml
sed -i '/^\[\[platforms\]\]/,/^$/d' /etc/lykta/gateway.toml  # there is no broker here, and a worker that ends must have delivered all
systemctl stop "$unit"
cp -a /var/lib/lykta /share/state
mount -t tmpfs -o "size=64m,mode=0700,uid=$(id -u lykta),gid=$(id -g lykta)" tmpfs /var/lib/lykta
cp -a /share/state/. /var/lib/lykta/
mount -o remount,ro /var/lib/lykta
systemctl start "$unit" || fail "it does not start on a read-only disk"
if lykta-gateway status >/share/status.txt; then fail "it takes readings that it cannot keep"; fi
grep -q 'no readings are taken: store unavailable' /share/status.txt || fail "status does not say why: $(cat /share/status.txt)"
journalctl -t lykta-gateway LYKTA_EVENT=store_read_only --no-pager | grep -q read || fail "the journal does not say so"
mount -o remount,rw /var/lib/lykta
wait_for "the start to go on" lykta-gateway status
journalctl -u "$unit" --no-pager | grep 'stays read-only' || echo "this systemd showed the service the new mount"
/usr/lib/lykta/bin/python3 /share/devices.py /srv/lykta 1 || fail "no reading is taken on a disk that takes writes again"
ok "a start on a read-only disk: it says so, and goes on by itself when the disk takes writes"

head -c 64M /dev/zero >/var/lib/lykta/filler 2>/dev/null || true
/usr/lib/lykta/bin/python3 /share/devices.py /srv/lykta 1 &
device=$!
takes_none() { lykta-gateway status >/share/status.txt; [ $? = 4 ]; }
wait_for "status to say that the disk is full" takes_none
grep -q 'no readings are taken: store unavailable' /share/status.txt || fail "status does not say why: $(cat /share/status.txt)"
kill -0 "$device" || fail "a full disk acknowledged a reading, or the device gave up"
rm /var/lib/lykta/filler
wait "$device" || fail "no reading is taken on a disk with room"
systemctl stop "$unit"
cp -a /var/lib/lykta/. /share/kept
umount /var/lib/lykta
cp -a /share/kept/. /var/lib/lykta/
systemctl start "$unit"
ok "a disk that is full while it runs: nothing is acknowledged, and it goes on by itself when there is room"

workers="lykta-gateway-worker@1 lykta-gateway-worker@2"
all="$workers lykta-gateway-front"
said_by() { lykta-gateway stats --json --worker "$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["durable"])'; }
pids() { for each in $all; do systemctl show -p MainPID --value "$each"; done; }
cp /etc/lykta/gateway.toml /share/one.toml
printf '\n[workers]\ncount = 2\n' >>/etc/lykta/gateway.toml
lykta-gateway check-config || fail "check-config for two workers"
systemctl stop "$unit"
lykta-gateway divide || fail "divide"
systemctl disable -q "$unit"
systemctl enable -q --now $all lykta-gateway-workers.target || fail "the workers do not start"
/usr/lib/lykta/bin/python3 /share/devices.py /srv/lykta 2 || fail "devices of both workers"
lykta-gateway status || fail "status of the front and both workers"
[ "$(said_by 1) $(said_by 2)" = "3 1" ] || fail "each worker has its own reading, the first also those of one process: $(said_by 1) $(said_by 2)"
before=$(pids)
systemctl reload $all || fail "reload of the workers and their front"
lykta-gateway reload || fail "reload of all at once"
[ "$(pids)" = "$before" ] || fail "a reload restarted somebody"
/usr/lib/lykta/bin/python3 /share/devices.py /srv/lykta 2 || fail "devices after the reload"
[ "$(said_by 1) $(said_by 2)" = "4 2" ] || fail "each worker has its own readings after the reload"
ok "two workers and their front: readings through both, reloaded while they run"

victim=$(systemctl show -p MainPID --value lykta-gateway-worker@2)
kill -9 "$victim"
worker_is_back() { [ "$(systemctl show -p MainPID --value lykta-gateway-worker@2)" != "$victim" ] && lykta-gateway status; }
wait_for "worker 2 to come back" worker_is_back
before=$(date +%s)
systemctl stop lykta-gateway-workers.target
[ $(($(date +%s) - before)) -le 5 ] || fail "the workers took longer than 5 s to stop"
for each in $all; do
  if systemctl is-active -q "$each"; then fail "$each runs on"; fi
  [ "$(systemctl show -p Result --value "$each")" = success ] || fail "the end of $each was no success"
done
cp /share/one.toml /etc/lykta/gateway.toml
if systemctl start "$unit" && sleep 1 && lykta-gateway status; then fail "one process runs on the state of two"; fi
systemctl stop "$unit"
lykta-gateway divide || fail "divide back"
systemctl disable -q $all lykta-gateway-workers.target
systemctl enable -q --now "$unit" || fail "one process again"
wait_for "one process to take readings" lykta-gateway status
[ "$(lykta-gateway stats --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["devices"]))')" = 6 ] || fail "devices were lost"
/usr/lib/lykta/bin/python3 /share/devices.py /srv/lykta 1 || fail "a device at one process again"
cp /share/with-platforms.toml /etc/lykta/gateway.toml
systemctl reload "$unit" || fail "reload with platforms again"
ok "killed, stopped within 5 s, and one process again with the devices of both"

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

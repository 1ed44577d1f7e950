#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
#
# Makes build/ble-vm: a Debian 13 with systemd, D-Bus, BlueZ and the packaged gateway, as a disk, a kernel and an initial
# RAM disk for QEMU. Once; remove the folder to make it anew. Needs root (mmdebstrap's chroot); packages come from the
# mirror of this computer's apt configuration and are checked against Debian's keyring.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$PWD/build/ble-vm
suite=trixie
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

missing=()
command -v qemu-system-x86_64 >/dev/null || missing+=(qemu-system-x86)
command -v qemu-img >/dev/null || missing+=(qemu-utils)
command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
command -v busybox >/dev/null || missing+=(busybox-static)
command -v cpio >/dev/null || missing+=(cpio)
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  else
    printf '\nThe machine with the real BlueZ needs: apt-get install %s\n' "${missing[*]}" >&2
    exit 1
  fi
fi
[ ! -s "$out/disk.img" ] || exit 0
[ "$(id -u)" -eq 0 ] || { echo "Making the machine's disk takes root, as mmdebstrap does. Once; running it does not." >&2; exit 1; }

mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Component: main' | grep -m1 '/debian/*$' || true)
[ -n "$mirror" ] && [ -r "$keyring" ] || { echo "No Debian mirror or no keyring in this computer's apt configuration." >&2; exit 1; }
rm -rf --one-file-system "$out" && mkdir -p "$out"
touch "$out/made" # what is newer than this is not in it
tools/deb.sh "$suite" >/dev/null
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
cp dist/lykta_*_"$suite"_*.deb "$work/lykta.deb"
root=$work/root
boot=$work/boot
mkdir -p "$root" "$boot"/{bin,dev,proc,newroot,m}
echo "making a Debian ($suite) with BlueZ, its kernel and the gateway"
mmdebstrap --quiet --variant=minbase --keyring="$keyring" \
  --include=systemd,systemd-sysv,dbus,bluez,python3,udev,kmod,procps,libnss-systemd \
  --customize-hook='copy-in '"$work"'/lykta.deb /tmp' \
  --customize-hook='chroot "$1" dpkg -i /tmp/lykta.deb >/dev/null' \
  --customize-hook='tools/ble_vm/kernel.sh "$1"' \
  "$suite" "$work/root.tar" "$mirror" # a tar: what fails halfway leaves nothing mounted in here
tar -xf "$work/root.tar" -C "$root" --exclude='./dev/*'
rm "$work/root.tar"

# The kernel, and of its modules those for Bluetooth and for a machine of QEMU's.
modules=$(echo "$root"/kernel/usr/lib/modules/*)
[ -d "$modules" ] || modules=$(echo "$root"/kernel/lib/modules/*)
version=$(basename "$modules")
cp "$root"/kernel/boot/vmlinuz-"$version" "$out/vmlinuz"
target=$root/usr/lib/modules/$version
mkdir -p "$target"
cp "$modules"/modules.{builtin,builtin.modinfo,order} "$target/"
for part in net/bluetooth drivers/bluetooth net/rfkill net/6lowpan crypto lib arch/x86/crypto drivers/virtio drivers/block/virtio_blk.ko \
  drivers/char/virtio_console.ko drivers/char/hw_random fs/ext4 fs/jbd2 fs/mbcache.ko fs/9p net/9p fs/netfs drivers/hid/hid.ko drivers/hid/uhid.ko fs/autofs; do
  [ -e "$modules/kernel/$part.xz" ] && part=$part.xz
  [ -e "$modules/kernel/$part" ] || continue
  mkdir -p "$target/kernel/$(dirname "$part")"
  cp -a "$modules/kernel/$part" "$target/kernel/$(dirname "$part")/"
done
rm -rf --one-file-system "$root"/kernel
chroot "$root" depmod "$version"

chroot "$root" python3 -m compileall -q /usr/lib/lykta/lib >/dev/null || true # machine code of nothing: it saves the guest minutes
install -m 755 tools/ble_vm/agent.sh "$root/usr/local/sbin/agent"
install -m 755 tools/ble_vm/bridge.py "$root/usr/local/sbin/hci-bridge"
install -m 644 tools/ble_vm/agent.service tools/ble_vm/hci-bridge.service "$root/etc/systemd/system/"
mkdir -p "$root/etc/systemd/system/multi-user.target.wants" "$root/share"
ln -sf ../agent.service "$root/etc/systemd/system/multi-user.target.wants/agent.service"
printf '/dev/vda / ext4 rw,noatime 0 0\n' >"$root/etc/fstab"
printf 'hci_vhci\n9pnet_virtio\n9p\n' >"$root/etc/modules-load.d/machine.conf"
printf 'machine\n' >"$root/etc/hostname"
systemd-id128 new >"$root/etc/machine-id" 2>/dev/null || tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
for unit in serial-getty@ttyS0.service getty@tty1.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount \
  systemd-journal-catalog-update.service ldconfig.service; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit" # nothing of it is needed, and each costs seconds of an emulated start
done
touch "$root/etc/.updated" "$root/var/.updated"
for unit in "$root"/etc/systemd/system/timers.target.wants/*; do rm -f "$unit"; done

rm -f "$out/disk.new"
truncate -s 1600M "$out/disk.new"
mkfs.ext4 -q -E lazy_itable_init=1,lazy_journal_init=1 -d "$root" "$out/disk.new"

cp "$(command -v busybox)" "$boot/bin/busybox"
for module in virtio_pci virtio_blk ext4; do
  chroot "$root" modprobe -S "$version" -D "$module" 2>/dev/null | awk '$1 == "insmod" { print $2 }'
done | awk '!seen[$0]++' | while read -r path; do
  name=$(basename "$path" .xz)
  case $path in *.xz) xz -dc "$root$path" >"$boot/m/$name" ;; *) cp "$root$path" "$boot/m/$name" ;; esac
  echo "$name" >>"$boot/m/list"
done
touch "$boot/m/list"
install -m 755 tools/ble_vm/init.sh "$boot/init"
(cd "$boot" && find . | cpio -o -H newc 2>/dev/null | gzip -1) >"$out/initrd"
mv "$out/disk.new" "$out/disk.img"
echo "$out/disk.img: Linux $version"

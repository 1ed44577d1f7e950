#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
#
# Builds MicroPython for an emulated Cortex-M3 (QEMU's mps2-an385) into build/cortexm/firmware.elf: MicroPython's own QEMU
# port, as Debian 13 (trixie) packages its source, with the board folder boards/cortexm. The source comes from the mirror
# that this computer's apt uses already; Debian leaves the libraries behind `cryptolib` out, so the node brings its own AES.
# Exits with 69 when the tools or the source cannot be had here: nothing was built then, and nothing is known.
set -euo pipefail
cd "$(dirname "$0")/.."
out=build/cortexm
suite=trixie
unavailable=69 # EX_UNAVAILABLE of sysexits.h
patience=(-o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 -o Acquire::Retries=2)

lacks() { # what is not to be had, and how to get it
  printf '%s\n' "$@" >&2
  exit "$unavailable"
}

missing=()
command -v arm-none-eabi-gcc >/dev/null || missing+=(gcc-arm-none-eabi libnewlib-arm-none-eabi)
command -v qemu-system-arm >/dev/null || missing+=(qemu-system-arm)
command -v gcc >/dev/null || missing+=(gcc libc6-dev) # for MicroPython's own compiler
command -v xz >/dev/null || missing+=(xz-utils)
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    apt-get "${patience[@]}" update -qq || lacks "apt-get update failed; the emulated board needs ${missing[*]}."
    DEBIAN_FRONTEND=noninteractive apt-get "${patience[@]}" install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
      lacks "apt-get cannot install ${missing[*]}, which the emulated board needs."
  else
    lacks "The emulated board needs: apt-get install ${missing[*]}"
  fi
fi

fetch() { # the source package, checked against Debian's keyring by apt
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror options state=$out/apt
  mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Component: main' | grep -m1 '/debian/*$' || true)
  [ -n "$mirror" ] && [ -r "$keyring" ] ||
    lacks "No Debian mirror or no keyring in this computer's apt configuration: put the unpacked source package" \
      "micropython of $suite into $out/source, and run this again."
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/sources"
  printf 'Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' "$mirror" "$suite" "$keyring" \
    >"$state/sources/lykta.sources"
  options=(-o "Dir::Etc::SourceList=/dev/null" -o "Dir::Etc::SourceParts=$PWD/$state/sources"
    -o "Dir::State::Lists=$PWD/$state/lists" -o "Dir::Cache=$PWD/$state/cache" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" "${patience[@]}" -qq update || lacks "The mirror of this computer's apt does not give the lists of $suite."
  (cd "$state" && apt-get "${options[@]}" "${patience[@]}" -qq source --download-only micropython) ||
    lacks "The mirror of this computer's apt does not give the source package micropython of $suite."
  rm -rf "$out/source.new" && mkdir -p "$out/source.new"
  tar -xf "$state"/micropython_*.orig.tar.xz -C "$out/source.new" --strip-components=1
  mv "$out/source.new" "$out/source"
}

logged() { # a make whose last words are told when it fails
  make -j2 "$@" >"$out/build.log" 2>&1 || {
    tail -20 "$out/build.log" >&2
    exit 1
  }
}

build() { # build FILE FOLDER MAKE-VARIABLES...
  # The compiler first: below a make with a BUILD of its own it would go where nobody looks for it.
  [ -x "$out/source/mpy-cross/build/mpy-cross" ] || logged -C "$out/source/mpy-cross"
  logged -C "$out/source/ports/qemu" BOARD=LYKTA BUILD="$2" "${@:3}"
  cp "$out/source/ports/qemu/$2/firmware.elf" "$out/$1"
}

[ -d "$out/source" ] || fetch
if [ "${1:-}" = frozen ]; then # what benchmarks/cortexm_frozen.py put there, in the interpreter that was built before
  rm -f "$out/source/ports/qemu/build-FROZEN/frozen_content.c"
  build frozen.elf build-FROZEN MICROPY_HEAP_SIZE=1048576 FROZEN_MANIFEST="$PWD/$out/frozen/manifest.py"
  exit
fi
rm -rf "$out/source/ports/qemu/boards/LYKTA" "$out/source/ports/qemu/build-LYKTA" # its names depend on our configuration
cp -r boards/cortexm "$out/source/ports/qemu/boards/LYKTA"
touch "$out/source/lib/micropython-lib/README.md" # nothing of it is frozen, but the makefile looks for it

build firmware.elf build-LYKTA
arm-none-eabi-size -A "$out/firmware.elf" >"$out/size.txt"
touch "$out/source/ports/qemu/main.c" # the heap is there, and nowhere else
build large.elf build-LYKTA MICROPY_HEAP_SIZE=1048576
echo "$out/firmware.elf"

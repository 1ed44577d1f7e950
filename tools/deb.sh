#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
#
# tools/deb.sh SUITE   makes dist/lykta_VERSION_SUITE_ARCH.deb for Debian bookworm or trixie: gateway, provisioning and
# consumer in a virtual environment of their own under /usr/lib/lykta, every wheel pinned and checked by its hash.
# A wheel with machine code is made for one Python, so there is one package for each release of Debian.
set -euo pipefail
cd "$(dirname "$0")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

suite=${1:-bookworm}
case $suite in
  bookworm) python=3.11 next=3.12 glibc="manylinux_2_36" ;;
  trixie) python=3.13 next=3.14 glibc="manylinux_2_41" ;;
  *) echo "tools/deb.sh bookworm|trixie, not '$suite'" >&2; exit 1 ;;
esac
command -v dpkg-deb >/dev/null || { echo "dpkg-deb is missing: apt-get install dpkg" >&2; exit 1; }

version=$(sed -nE 's/^version = "(.*)"/\1/p' pyproject.toml)
arch=$(dpkg --print-architecture)
machine=$(uname -m)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/root
home=$root/usr/lib/lykta
packages=$home/lib/python$python/site-packages
mkdir -p "$packages" "$home/bin" "$root/DEBIAN" "$root/usr/bin" "$root/usr/lib/systemd/system" \
  "$root/usr/lib/sysusers.d" "$root/etc/default" "$root/etc/lykta" "$root/usr/share/doc/lykta" "$root/usr/share/man/man8"

# The virtual environment: what `python -m venv` makes, for a Python that this machine need not have.
printf 'home = /usr/bin\ninclude-system-site-packages = false\nversion = %s\n' "$python" >"$home/pyvenv.cfg"
ln -s /usr/bin/python3 "$home/bin/python3"
platforms=()
for minor in $(seq 17 "${glibc##*_}"); do platforms+=(--platform "manylinux_2_${minor}_$machine"); done
.venv/bin/python -m pip install --quiet --no-deps --require-hashes --only-binary :all: --no-compile \
  --python-version "$python" --implementation cp "${platforms[@]}" --platform "manylinux2014_$machine" \
  --target "$packages" -r requirements/run.txt
rm -rf "$packages/bin"
.venv/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$stage" .
.venv/bin/python -m zipfile -e "$stage"/lykta-*.whl "$packages"
for entry in lykta=provisioning.cli lykta-gateway=gateway.cli; do
  name=${entry%%=*}
  printf '#!/usr/lib/lykta/bin/python3 -I\nimport sys\n\nfrom %s import main\n\nsys.exit(main())\n' "${entry#*=}" >"$home/bin/$name"
  chmod 755 "$home/bin/$name"
  ln -s "../lib/lykta/bin/$name" "$root/usr/bin/$name"
done

install -m 644 gateway/operate/units/lykta-gateway*.service gateway/operate/units/lykta-gateway-workers.target \
  "$root/usr/lib/systemd/system/"
install -m 644 gateway/operate/units/sysusers.conf "$root/usr/lib/sysusers.d/lykta.conf"
install -m 644 packaging/deb/lykta-gateway.default "$root/etc/default/lykta-gateway"
install -m 644 packaging/deb/lykta-gateway.8 "$root/usr/share/man/man8/"
gzip -9n "$root/usr/share/man/man8/lykta-gateway.8"
install -m 644 LICENSE "$root/usr/share/doc/lykta/copyright"
install -m 644 packaging/monitoring/* "$root/usr/share/doc/lykta/"
install -m 755 packaging/deb/{postinst,prerm,postrm} "$root/DEBIAN/"
echo /etc/default/lykta-gateway >"$root/DEBIAN/conffiles"
sed -e "s/@VERSION@/$version/; s/@ARCH@/$arch/; s/@PYTHON@/$python/; s/@NEXT@/$next/" \
  -e "s/@SIZE@/$(du -sk "$root" | cut -f1)/" packaging/deb/control >"$root/DEBIAN/control"
(cd "$root" && find usr etc -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)

mkdir -p dist
find "$root" -exec touch -h -d "@$(git log -1 --format=%ct)" {} +
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) dpkg-deb --root-owner-group -Zxz -z1 --build "$root" "dist/lykta_${version}_${suite}_$arch.deb"

#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
#
# tools/venv.sh SET...   makes .venv (or mends a half-made one) and installs requirements/SET.txt, each once.
#
# A set's stamp is written last and holds a hash of everything that decides what is installed, so an interrupted run is
# taken up again, a changed requirement file is installed anew, and a run with nothing to do costs no time.
# PYTHON=python3.12 chooses the interpreter; without it a working .venv is kept whatever made it.
set -euo pipefail
cd "$(dirname "$0")/.."

asked=${PYTHON:-}
python=${PYTHON:-python3}
# What an activated environment or a caller's shell would otherwise mix into ours.
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV PIP_TARGET PIP_USER PIP_REQUIRE_VIRTUALENV
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

stop() { # stop LINE...
  printf '\n' >&2
  printf '%s\n' "$@" >&2
  exit 1
}

python_id() { "$1" -c 'import platform, sys; print(platform.python_implementation(), *sys.version_info[:2])' 2>/dev/null; }

check_python() {
  command -v "$python" >/dev/null || stop \
    "Lykta needs Python 3.11 or newer, and there is no '$python' on PATH." \
    "Install it (Debian, Ubuntu: apt-get install python3 python3-venv) or name one: make PYTHON=/path/to/python3.12"
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || stop \
    "Lykta needs Python 3.11 or newer, and '$python' is $("$python" --version 2>&1)." \
    "Name a newer one: make PYTHON=python3.12"
  "$python" -c 'import ensurepip, venv' 2>/dev/null || stop \
    "'$python' ($("$python" --version 2>&1)) comes without the venv and ensurepip modules, which Lykta's own environment needs." \
    "Debian, Ubuntu: apt-get install $("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" \
    "Alpine: apk add py3-pip   Fedora: already part of python3"
}

venv_works() {
  # The programs in .venv/bin name the folder they were made in, so a moved checkout needs a new one.
  [ "$(cat .venv/lykta-made-in 2>/dev/null || pwd)" = "$(pwd)" ] || return 1
  [ -x .venv/bin/python ] && .venv/bin/python -m pip --version >/dev/null 2>&1 || return 1
  [ -z "$asked" ] || [ "$(python_id .venv/bin/python)" = "$(python_id "$python")" ]
}

stamp_of() { # what decides the content of a set: its pins, the installer's pins, the entry points, the interpreter
  {
    cat requirements/build.txt "requirements/$1.txt"
    [ "$1" != run ] || cat pyproject.toml
    python_id .venv/bin/python
  } | sha256sum | cut -d" " -f1
}

is_done() { [ "$(cat ".venv/lykta-$1.stamp" 2>/dev/null)" = "$(stamp_of "$1")" ]; }

mark_done() {
  cp "requirements/$1.txt" ".venv/lykta-$1.txt"
  stamp_of "$1" >".venv/lykta-$1.stamp.new"
  mv ".venv/lykta-$1.stamp.new" ".venv/lykta-$1.stamp"
}

pip_install() { # pip_install ARGUMENT...: what pip says matters only when it fails
  local said
  said=$(.venv/bin/python -m pip install --quiet --no-deps "$@" 2>&1) || stop "$said" "" \
    "pip could not install this (its last lines are above). With a network connection, run the same command again: it goes on from here."
}

install_set() { # wheels only, so that nothing that a package ships is run while it is installed; but for what its list says comes as source
  local sources
  sources=$(sed -n 's/^# Comes as source: //p' "requirements/$1.in")
  pip_install --require-hashes --only-binary :all: ${sources:+--no-binary "$sources" --no-build-isolation} -r "requirements/$1.txt"
}

names() { sed -nE 's/^([A-Za-z0-9._-]+)==.*/\1/p' "$@" | sort -u; }

remove_dropped() { # what an older requirements/SET.txt had brought and no list asks for any more
  local dropped
  [ -f ".venv/lykta-$1.txt" ] || return 0
  dropped=$(comm -23 <(names ".venv/lykta-$1.txt") <(names requirements/*.txt))
  # shellcheck disable=SC2086  # one word per package
  [ -z "$dropped" ] || .venv/bin/python -m pip uninstall --quiet --yes $dropped
}

if ! venv_works; then
  check_python
  [ ! -e .venv ] || echo ".venv is incomplete, from another folder or made with another Python: making it anew"
  echo "making .venv with $("$python" --version 2>&1)"
  "$python" -m venv --clear .venv
  pwd >.venv/lykta-made-in
fi

if ! is_done build; then
  install_set build
  mark_done build
fi

for set in "$@"; do
  is_done "$set" && continue
  rm -f ".venv/lykta-$set.stamp"
  echo "installing requirements/$set.txt ($(grep -c '==' "requirements/$set.txt") pinned packages)"
  install_set "$set"
  remove_dropped "$set"
  if [ "$set" = run ]; then # the project itself, so that .venv/bin/lykta exists
    pip_install --no-build-isolation --editable .
  fi
  mark_done "$set"
done

#!/usr/bin/env bash
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# ansible-test sanity over the installed collection, with no ignore entries.
#
#   scripts/sanity.sh [ARGUMENT...]    such as --test validate-modules

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

command -v ansible-test >/dev/null || venv test
install_collection

# ansible-test keeps its caches and environments in the home folder; it gets one of its own.
export PIP_CONFIG_FILE=${PIP_CONFIG_FILE:-$(ls "$HOME/.config/pip/pip.conf" "$HOME/.pip/pip.conf" 2>/dev/null | head -1 || true)}
[ -n "$PIP_CONFIG_FILE" ] || unset PIP_CONFIG_FILE
export HOME=$cache/home
mkdir -p "$HOME"

# It would download a script that brings pip into its environments; a wheel of that pip does the same.
version=$(python - <<'PYTHON'
import inspect
import re

from ansible_test._internal import python_requirements
print(re.search(r"pip='([0-9.]+)'", inspect.getsource(python_requirements.get_venv_packages)).group(1))
PYTHON
)
boot=$HOME/.ansible/test/cache
if [ ! -f "$boot/get_pip_${version//./_}.py" ]; then
    mkdir -p "$boot"
    python -m pip download -q --no-deps --dest "$boot" "pip==$version" 2>"$cache/pip.log" || { cat "$cache/pip.log" >&2; exit 1; }
    cat >"$boot/get_pip_${version//./_}.py" <<PYTHON
import runpy
import sys

sys.path.insert(0, "$boot/pip-$version-py3-none-any.whl")
sys.argv[1:] = ["install"] + [each for each in sys.argv[1:] if each not in ("--no-setuptools", "--no-wheel")]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
PYTHON
fi

# A copy that no version control system knows of, since ansible-test would ask that for the files.
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
tree=$temporary/ansible_collections/coracle
mkdir -p "$tree"
cp -a "$ANSIBLE_COLLECTIONS_PATH/ansible_collections/coracle/containers" "$tree/"
mkdir -p "$tree/containers/tests"
cp "$root/tests/config.yml" "$tree/containers/tests/"
cd "$tree/containers"
python=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
ansible-test sanity --color no --python "$python" "$@" 2>&1 \
    | grep --line-buffered -vE '^(Collecting |  Downloading |Installing |Successfully |Using cached | +━|Running sanity test)'

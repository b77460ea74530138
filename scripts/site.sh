#!/usr/bin/env bash
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Makes this machine run the demonstration: builds the collection, installs it below
# .cache/ and runs its playbook "site" against localhost.
#
#   scripts/site.sh [OPTION...]               options for ansible-playbook, such as --check --diff or -i inventory.yml
#   scripts/site.sh teardown [OPTION...]      takes it all away again

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

playbook=site
case ${1:-} in
    site | teardown)
        playbook=$1
        shift
        ;;
esac

[ "$(id -u)" -eq 0 ] || die "run this as root: containers are made with the kernel's own calls"
venv controller
install_collection
cd "$root"
case " $* " in
    *" -i "* | *" --inventory"*) ;;
    *)
        # Discovery would take the first python3.X that the PATH of this shell offers.
        [ ! -x /usr/bin/python3 ] || export ANSIBLE_PYTHON_INTERPRETER=/usr/bin/python3
        set -- --inventory localhost, --connection local "$@"
        ;;
esac
exec ansible-playbook "coracle.containers.$playbook" "$@"

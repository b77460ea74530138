#!/usr/bin/env bash
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Takes each defence of the engine out in turn, in a private copy, and shows that the tests that guard it then fail.
#
#   scripts/mutate.sh            all of them, some ten minutes
#   scripts/mutate.sh --page     the same, and write docs/security-mutations.md
#   scripts/mutate.sh seal null  those with one of these words in their name; with --page the others keep their verdicts there

set -uo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root" || exit 1
packages iproute2 nftables procps python3 busybox-static psmisc
venv test
exec python tests/security/mutate.py "$@"

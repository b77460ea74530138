#!/usr/bin/env bash
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Builds the collection and installs it below .cache/; prints the path for ANSIBLE_COLLECTIONS_PATH.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

command -v ansible-galaxy >/dev/null || venv controller
install_collection
printf '%s\n' "$ANSIBLE_COLLECTIONS_PATH"

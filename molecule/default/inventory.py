#!/usr/bin/env python3
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory: the machine that create.yml has started, reached through the sshd that stands in it."""

import json
import sys
from pathlib import Path

RECORD = Path(__file__).resolve().parents[2] / ".cache" / "machine.json"

hosts = {"instance": json.loads(RECORD.read_text(encoding="utf-8"))} if RECORD.exists() else {}
json.dump({"all": {"hosts": list(hosts)}, "_meta": {"hostvars": hosts}}, sys.stdout)

# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator does with the whole instance."""

from __future__ import annotations

import sys
from typing import List

from ..errors import EngineError
from ..instance import Instance


def reset(instance: Instance, arguments: List[str]) -> int:
    """Remove the instance; without C(--yes) only where nobody sits at a terminal who may have mistyped."""
    from ..host import reset as steps  # pylint: disable=import-outside-toplevel
    if arguments not in ([], ["--yes"]) or (not arguments and sys.stdin.isatty()):
        raise EngineError("this removes all containers, images, volumes and networks of %s" % instance.state_root,
                          "Say 'coracle reset --yes' if that is what you want")
    steps.reset(instance)
    left = steps.remains(instance)
    for what in left:
        sys.stderr.write("coracle: left over: %s\n" % what)
    return 1 if left else 0


def seal(_instance: Instance, arguments: List[str]) -> int:
    """Keep a sealed interpreter till the next boot, or give it up."""
    from ..runtime import seal as steps  # pylint: disable=import-outside-toplevel
    if arguments not in ([], ["--undo"]):
        raise EngineError("seal: %s is not understood" % " ".join(arguments), "Say 'coracle seal' or 'coracle seal --undo'")
    if arguments:
        steps.release()
    else:
        sys.stdout.write(steps.keep() + "\n")
    return 0

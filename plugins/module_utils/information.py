# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module does that only looks: parse, describe, return. It changes nothing and installs nothing."""

from __future__ import annotations

import traceback
from typing import Any, Callable, Dict

from ansible.module_utils.basic import AnsibleModule

from .engine.errors import EngineError
from .engine.instance import Instance
from .option import argument_spec, parse
from .options.instance import INSTANCE


def run(kind: str, describe: Callable[[Instance], Dict[str, Any]]) -> None:
    """Be the module that describes one kind of object; does not return.

    Args:
        kind: The key in the result.
        describe: Says what is true now.
    """
    module = AnsibleModule(argument_spec=argument_spec(INSTANCE), supports_check_mode=True)
    try:
        params = parse(INSTANCE, module.params)
        found = describe(Instance(params["state_root"], params["run_root"], params["cgroup_root"]))
    except EngineError as error:
        module.fail_json(msg=str(error), **error.facts)
    except OSError as error:
        module.fail_json(msg="%s: %s" % (error.strerror or error, error.filename or kind),
                         exception=traceback.format_exc())
    module.exit_json(changed=False, **{kind: found})

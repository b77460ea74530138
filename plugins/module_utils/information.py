# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module does that only looks: parse, describe, return. It changes nothing and installs nothing."""

from __future__ import annotations

import gc
import traceback
from typing import Sequence

from ansible.module_utils.basic import AnsibleModule

from . import bootstrap
from .engine.errors import EngineError
from .engine.instance import Instance
from .option import Option, argument_spec, parse
from .options.instance import INSTANCE


def run(kind: str, place: str, table: Sequence[Option] = ()) -> None:
    """Be the module that describes one kind of object; does not return.

    Args:
        kind: The key in the result; empty where what is described are several, by key.
        place: The file of the engine, dotted, whose C(describe(instance)) says what is true now.
        table: The module's own options; where there are some, they are C(describe)'s second argument.
    """
    options = tuple(table) + INSTANCE
    module = AnsibleModule(argument_spec=argument_spec(options), supports_check_mode=True)
    try:
        params = parse(options, module.params)
        instance = Instance(params["state_root"], params["run_root"], params["cgroup_root"])
        bootstrap.use_engine(instance, install=False, keep=not module.check_mode)
        found = bootstrap.bring(place).describe(instance, *([params] if table else []))
    except EngineError as error:
        module.fail_json(msg=str(error), **error.facts)
    except OSError as error:
        module.fail_json(msg="%s: %s" % (error.strerror or error, error.filename or kind),
                         exception=traceback.format_exc())
    gc.freeze()  # the interpreter need not look for garbage on its way out
    module.exit_json(changed=False, **({kind: found} if kind else found))

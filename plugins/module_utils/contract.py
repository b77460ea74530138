# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module does, and nothing else: observe, plan, apply.

A resource is a Python module C(engine/KIND/resource.py) with these functions;
options are parsed before any of them is called:

    key(params) -> str or None
        The name that the object's lock is taken on; C(None) where there is nothing to lock. C(LOCKED) names the kind of
        that lock where it is not the resource's own.
    resolve(instance, params) -> desired
        Checks that need to look around, and defaults that depend on the host or the image. Reads only.
        C(desired.options) maps option names to values that C(differences) compares; C(desired.warnings), if it is there,
        is what a person should know.
    observe(instance, desired) -> observed
        What is true now, from the kernel and the store. Reads only. C(observed.options) likewise.
    plan(desired, observed, differences) -> Plan
        A pure function.
    apply(instance, desired, observed, plan) -> dict or None
        The only side effects. Stops at the first step that fails, and takes back what that step had begun.
        Returns what the steps brought back for the result, such as C(rc) and C(stdout).
    agree(instance, desired, observed, plan, check_mode)
        Optional; called before anything is carried out, also where nothing is to be, and may refuse by raising.
    rehearse(instance, desired, observed, plan)
        Optional; called in check mode in place of C(apply), to check what C(apply) checks on its way, such as the
        digests of what it reads. Reads only. Returns what the result shall say of it.
    diff(desired, observed)
        Optional; what Ansible shows with C(--diff), where that is not the plan's differences.
    let_go(desired)
        Optional; gives back what C(resolve) has opened.
    idle(instance, desired, observed)
        Optional; called where the plan is empty. Returns what the result shall say of it.
    finish(instance, desired)
        Optional; called outside of check mode once all is as desired and the lock is given up, to wait for what comes of it.
        Returns whether it has waited.
    report(instance, desired, observed) -> dict
        The object's full state, for the result; secrets masked.
"""

from __future__ import annotations

import errno
import gc
import importlib
import os
import traceback
from contextlib import ExitStack, nullcontext
from typing import Any, Dict, List, Mapping, Sequence

from ansible.module_utils.basic import AnsibleModule

from . import bootstrap
from .engine.errors import EngineError, Unsupported
from .engine.instance import Instance
from .engine.plan import Plan
from .option import Option, argument_spec, differences, parse
from .options.instance import INSTANCE


def run(kind: str, table: Sequence[Option], tools: Any = None, **rules: Any) -> None:
    """Be the module that manages one kind of object; does not return.

    Args:
        kind: The folder of the engine that holds C(resource.py); also the key of the state in the result.
        table: The module's options.
        tools: What the resource needs of what lies above the engine; given to its C(equip). Its C(hide) tells of the options
            what may be shown, and the values that may not be.
        rules: C(required_if), C(mutually_exclusive) and the like, as AnsibleModule takes them.
    """
    table = tuple(table) + INSTANCE
    module = _Module(tools, argument_spec=argument_spec(table), supports_check_mode=True, **rules)
    try:
        result = _converge(kind, table, module.given, module.check_mode, module._diff, tools)  # pylint: disable=protected-access
    except EngineError as error:
        module.fail_json(msg=str(error), **error.facts)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            module.fail_json(msg="the disk that holds %s is full; what was begun was taken back. Free some of it, for example "
                             "with coracle.containers.container_prune" % (error.filename or module.params["state_root"]))
        module.fail_json(msg="%s: %s" % (error.strerror or error, error.filename or kind),
                         exception=traceback.format_exc())
    gc.freeze()  # the interpreter need not look for garbage on its way out
    module.exit_json(**result)


class _Module(AnsibleModule):
    """One that hides of an option that is secret in parts no more than these, in what it says of the faults of others too.

    Attributes:
        given: The options, nothing hidden.
    """

    def __init__(self, tools: Any, **spec: Any) -> None:
        self._tools = tools
        super().__init__(**spec)
        self._hide()

    def _hide(self) -> None:
        if not hasattr(self, "given"):
            self.given = self.params
            if self._tools is not None:
                self.params, self.no_log_values = self._tools.hide(self.params)

    def fail_json(self, msg: str, **facts: Any) -> Any:  # which the base's constructor calls
        self._hide()
        return super().fail_json(msg, **facts)


def _converge(kind: str, table: Sequence[Option], given: Mapping[str, Any], check_mode: bool, diff_mode: bool,
              tools: Any) -> Dict[str, Any]:
    params = parse(table, given)
    if os.geteuid() != 0:
        raise Unsupported("the engine must run as root, but this task runs as user id %d" % os.geteuid(),
                          "Set 'become: true' on the task or the play; docs/rootless.md says what other users can run")
    instance = Instance(params["state_root"], params["run_root"], params["cgroup_root"])
    bootstrap.use_engine(instance, install=not check_mode, keep=not check_mode)
    resource = bootstrap.bring(kind + ".resource")
    if tools is not None:
        resource.equip(tools)
    if check_mode:
        guard = nullcontext()  # type: Any
    else:
        locks = importlib.import_module(".engine.store.locks", __package__)
        name = resource.key(params)
        guard = nullcontext() if name is None else locks.held(instance, getattr(resource, "LOCKED", kind), name)
    with guard, ExitStack() as held:
        desired = resource.resolve(instance, params)
        if hasattr(resource, "let_go"):
            held.callback(resource.let_go, desired)
        observed = resource.observe(instance, desired)
        plan = resource.plan(desired, observed, differences(table, desired.options, observed.options))
        result = {"changed": bool(plan), "actions": actions(plan)}  # type: Dict[str, Any]
        if diff_mode:  # which may have to read much
            result["diff"] = resource.diff(desired, observed) if hasattr(resource, "diff") else diff(plan)
        if getattr(desired, "warnings", ()):
            result["warnings"] = list(desired.warnings)
        if hasattr(resource, "agree"):
            resource.agree(instance, desired, observed, plan, check_mode)
        if plan and not check_mode:
            result.update(resource.apply(instance, desired, observed, plan) or {})
            observed = resource.observe(instance, desired)
        elif plan and hasattr(resource, "rehearse"):
            result.update(resource.rehearse(instance, desired, observed, plan) or {})
        elif not plan and hasattr(resource, "idle"):
            result.update(resource.idle(instance, desired, observed))
        result[kind] = resource.report(instance, desired, observed)
    if not check_mode and hasattr(resource, "finish") and resource.finish(instance, desired):
        result[kind] = resource.report(instance, desired, observed)
    return result


def actions(plan: Plan) -> List[Dict[str, Any]]:
    """The plan as a list of plain mappings."""
    return [
        {"action": change.action, "target": change.target, "disruption": change.disruption,
         "options": [difference.option for difference in change.differences]}
        for change in plan
    ]


def diff(plan: Plan) -> Dict[str, Any]:
    """The plan as Ansible's C(--diff) shows it: per option what was and what will be.

    A change of no single option (start, remove) shows as the action itself.
    """
    before, after = {}, {}  # type: Dict[str, Any], Dict[str, Any]
    for change in plan:
        for difference in change.differences:
            before[difference.option] = difference.before
            after[difference.option] = difference.after
        if not change.differences:
            after.setdefault("actions", []).append("%s %s" % (change.action, change.target))
    return {"before": before, "after": after}

# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that a host is sent in place of a module that it has kept: C(kept.py) sends the text of the function below.

Any Python must be able to read it, so that a host that is too old gets the module, and with it Ansible's own word on that.
"""

from __future__ import annotations


def run_kept(root, identity, key, module, params, missing):  # type: ignore[no-untyped-def]
    """Run the module; or say that it, or even the engine, is not there.

    Args:
        root: The state root.
        identity: Of the engine.
        key: Of the module (C(kept.key)).
        module: Its full name.
        params: Its options as Ansible gives them, JSON.
        missing: The key of the answer where something is missing.
    """
    import gc
    import hashlib
    import os
    import stat
    import sys
    try:
        os.getcwd()
    except OSError:
        os.chdir("/")
    sys.path[:] = [each for each in sys.path if each not in ("", ".")]
    runs = "%s %s\n%s" % (sys.implementation.cache_tag, sys.executable, identity)
    engine = os.path.join(root, "engine", hashlib.sha256(runs.encode("utf-8", "surrogateescape")).hexdigest()[:16])
    path = os.path.join(engine, "kept", "%s.%s" % (module, key))
    lacking = "engine"
    try:
        for place in (engine, path):  # nobody but root may have been able to write what is run (bootstrap.py)
            status = os.lstat(place)
            if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022 or stat.S_ISLNK(status.st_mode):
                raise OSError
            lacking = "module"
    except OSError:
        sys.stdout.write('{"failed": true, "msg": "not kept here", "%s": "%s"}\n' % (missing, lacking))
        return
    gc.disable()  # till the engine's imports are done: bootstrap.py
    sys.path.insert(0, engine)
    from engine.start import Finder
    del sys.path[0]
    sys.meta_path.insert(0, Finder(path, path, "", "ansible"))
    from ansible.module_utils._internal._ansiballz import _loader
    _loader.run_module(json_params=params.encode(), profile="legacy", module_fqn=module, modlib_path=path, extensions={})

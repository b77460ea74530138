# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of playbooks share: the demonstration's root filesystem, built once, and a controller with its network."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any, Dict, List, Mapping, NamedTuple, Tuple

import collection
from hosts import MANAGED_PYTHON, Host, switch

ROOT = Path(__file__).resolve().parents[1]
FILES = ROOT / "roles" / "demonstration" / "files"
RECAP = ("ok", "changed", "unreachable", "failed")


def demonstration() -> Path:
    """A folder with the root filesystem, under the name that the role looks for: test hosts reach no package archive."""
    folder = ROOT / ".cache" / "demonstration"
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256((FILES / "app.py").read_bytes() + (FILES / "rootfs.py").read_bytes()).hexdigest()[:12]
    rootfs = folder / ("rootfs-%s.tar" % digest)
    if not rootfs.exists():
        (folder / "app.py").write_bytes((FILES / "app.py").read_bytes())
        subprocess.run(["/usr/bin/python3", str(FILES / "rootfs.py"), str(folder / "app.py"), str(rootfs)], check=True)
    return folder


class Run(NamedTuple):
    """What a playbook run said.

    Attributes:
        text: Its output.
        status: Its exit status.
        recap: Host to the numbers of the recap.
    """

    text: str
    status: int
    recap: Dict[str, Dict[str, int]]


def result_of(done: "subprocess.CompletedProcess[str]") -> Run:
    """Read the recap of a run."""
    recap = {}
    for line in done.stdout.partition("PLAY RECAP")[2].splitlines()[1:]:
        name, _colon, numbers = line.partition(":")
        pairs = dict(pair.split("=") for pair in numbers.split())
        if pairs:
            recap[name.strip()] = {key: int(pairs[key]) for key in RECAP}
    return Run(done.stdout + done.stderr, done.returncode, recap)


class Controller:
    """A host that runs playbooks against others, over real SSH, and the network between them."""

    def __init__(self, host: Host, managed: Mapping[str, Host], folder: Path) -> None:
        self.host = host
        self.managed = dict(managed)
        self.inventory = folder / "inventory.json"
        subnet = "192.0.2.%d/24"
        addresses = {host: subnet % 1}
        for number, machine in enumerate(self.managed.values(), 11):
            addresses[machine] = subnet % number
        switch(host, addresses)
        entries = {}
        for name, machine in self.managed.items():
            login = machine.sshd()
            entries[name] = {
                "ansible_host": addresses[machine].partition("/")[0], "ansible_port": int(login["port"]),
                "ansible_user": login["user"], "ansible_ssh_private_key_file": login["key"],
                "ansible_ssh_common_args": login["options"], "coracle_cgroup_root": machine.cgroup_root,
                "ansible_python_interpreter": MANAGED_PYTHON}
        self.inventory.write_text(json.dumps({"all": {"hosts": entries}}), encoding="utf-8")

    def run(self, name: str, *options: str, env: Mapping[str, str] = MappingProxyType({}), **variables: Any) -> Run:
        """Run a playbook of the collection, or one by its path, against all managed hosts."""
        command = [str(Path(sys.executable).with_name("ansible-playbook")), name if "/" in name else "coracle.containers." + name,
                   "-i", str(self.inventory), "-e", json.dumps(variables), *options]
        whole = {"ANSIBLE_COLLECTIONS_PATH": str(collection.collections_path()), "ANSIBLE_HOME": "/run/ansible",
                 "ANSIBLE_REMOTE_TMP": "/run/ansible-tmp", "ANSIBLE_SSH_CONTROL_PATH_DIR": "/run/ssh",
                 "ANSIBLE_SSH_PIPELINING": "true", "LC_ALL": "C.UTF-8", **env}
        return result_of(self.host.run(command, env=whole, check=False, timeout=550))


def everything_of(host: Host) -> List[Tuple[str, str]]:
    """All that the engine could have left on a host."""
    looks = {
        "links": "ip -o link | cut -d: -f2", "tables": "nft list tables", "namespaces": "ls /run/netns 2>/dev/null || true",
        # The brackets keep these programs themselves from being found.
        "processes": "ps -eo args | grep -v '^\\[' | grep -e '[c]oracle/engine' -e '[/]srv/app.py' || true",
        "cgroups": "find /sys/fs/cgroup -name '%s'" % host.cgroup_root.strip("/"),
        "mounts": "cut -d' ' -f5 /proc/self/mountinfo | grep -e ^/run/coracle -e ^/var/lib/coracle/ || true",
        "forwarding": "cat /proc/sys/net/ipv4/ip_forward",
        "files": "ls -A /run/coracle /var/lib/coracle 2>/dev/null | grep -v ':$' || true; "
                 "ls /usr/local/bin/coracle /etc/systemd/system/coracle.service 2>/dev/null || true; "
                 "ls /etc/init.d/coracle /etc/rc?.d/*coracle 2>/dev/null || true"}
    return [(what, host.shell(script).strip()) for what, script in looks.items()]

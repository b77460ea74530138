# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks on one host: check mode on a bare one, an interrupted run, an application that goes, a second instance."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, List



import collection
import pytest
from containers import add_image
from hosts import MANAGED_PYTHON, Host
from sites import Run, demonstration, everything_of, result_of
from stacks import HEALTHY, service
from waiting import until

pytestmark = pytest.mark.slow

ENVIRONMENT = {"ANSIBLE_COLLECTIONS_PATH": str(collection.collections_path()), "ANSIBLE_HOME": "/run/ansible",
               "ANSIBLE_REMOTE_TMP": "/run/ansible-tmp", "LC_ALL": "C.UTF-8"}


def command(host: Host, name: str, *options: str, **variables: Any) -> List[str]:
    given = {"coracle_cgroup_root": host.cgroup_root, "demonstration_folder": str(demonstration()),
             "ansible_python_interpreter": MANAGED_PYTHON, **variables}
    return [str(Path(sys.executable).with_name("ansible-playbook")), "coracle.containers." + name, "-i", "localhost,",
            "-c", "local", "-e", json.dumps(given), *options]


def play(host: Host, name: str, *options: str, **variables: Any) -> Run:
    return result_of(host.run(command(host, name, *options, **variables), env=ENVIRONMENT, check=False, timeout=550))


def page(host: Host, port: int = 18080) -> str:
    return host.shell("curl -sS --max-time 5 http://127.0.0.1:%d/" % port)


def changed(run: Run) -> int:
    assert run.status == 0, run.text
    return run.recap["localhost"]["changed"]


def test_check_mode_on_a_bare_host_changes_nothing(host: Host) -> None:
    before = everything_of(host)
    assert changed(play(host, "site", "--check", demonstration_folder="/opt/demonstration")) > 0
    assert everything_of(host) == before
    assert not host.shell("ls -A /opt/demonstration 2>/dev/null || true")


def test_an_interrupted_run_is_completed_by_the_next(host: Host) -> None:
    started = host.start(command(host, "site"), env=ENVIRONMENT, stdout=subprocess.DEVNULL, start_new_session=True)

    def begun() -> str:
        assert started.poll() is None
        return host.shell("ls -d /var/lib/coracle/containers/web 2>/dev/null || true")
    until(begun, 240)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    host.shell("pkill -9 -f [a]nsible-playbook; pkill -9 -f [A]nsiballZ || true")  # sees this host's processes alone
    assert changed(play(host, "site")) > 0
    assert "Hello from web" in page(host)
    assert changed(play(host, "site")) == 0


def test_an_application_goes_and_the_instance_stays(host: Host) -> None:
    rootfs = next(demonstration().glob("rootfs-*.tar"))
    shop = {"name": "shop", "images": [{"name": "shop:1", "source": str(rootfs), "entrypoint": ["/usr/bin/python3", "/srv/app.py"],
                                        "cmd": ["web"], "env": {"PATH": "/usr/bin:/bin"}}],
            "networks": [{"name": "backend", "subnet": "10.77.0.0/24"}],
            "volumes": [{"name": "shop-data", "labels": {"app": "shop"}}],
            "containers": [{"name": "shop", "image": "shop:1", "networks": [{"name": "backend"}], "memory_max": "96M",
                            "published_ports": ["8081:8080"], "volumes": ["shop-data:/data"], "restart_policy": "always"}],
            "wait": [{"url": "http://127.0.0.1:8081/", "contains": "Hello from shop", "timeout": 30}]}
    assert changed(play(host, "site", coracle_apps=[shop])) > 0
    ps = json.loads(host.run(["coracle", "ps", "--json"]).stdout)
    assert ps[0]["addresses"]["backend"].startswith("10.77.0.")
    assert changed(play(host, "site", coracle_apps=[shop])) == 0
    assert changed(play(host, "site", coracle_apps=[{**shop, "state": "absent"}])) > 0
    left = dict(everything_of(host))
    assert left["links"] == "lo" and left["tables"] == "" and left["cgroups"] == ""
    assert host.shell("ls /var/lib/coracle/volumes").split() == ["shop-data"]
    assert changed(play(host, "site", coracle_apps=[{**shop, "state": "absent"}])) == 0
    assert changed(play(host, "site", coracle_apps=[{**shop, "state": "absent"}], app_keep_volumes=False)) == 1
    assert "shop-data" not in host.shell("ls /var/lib/coracle/volumes 2>/dev/null || :")


def test_a_host_without_what_every_container_needs_is_refused(host: Host) -> None:
    host.shell("mount -t tmpfs tmpfs /sys/fs/cgroup")  # hides the hierarchies
    before = everything_of(host)
    run = play(host, "site")
    assert run.status != 0
    assert "memory controller is missing, so memory_max and its like are refused. Mount a cgroup hierarchy" in run.text
    assert everything_of(host) == before


def test_an_option_that_the_role_does_not_know_is_refused(host: Host) -> None:
    app = {"name": "shop", "containers": [{"name": "shop", "image": "shop:1", "memmory_max": "96M"}]}
    run = play(host, "site", coracle_apps=[app])
    assert run.status != 0
    assert "memmory_max" in run.text and "Supported parameters include" in run.text


def test_a_second_instance_shares_nothing_with_the_first(host: Host) -> None:
    state = str(host.folder / "second")  # on the real disk: an overlay does not lie on a test host's own layers
    second = {"coracle_state_root": state, "coracle_run_root": "/run/second", "demonstration_port": 18081,
              "coracle_cgroup_root": host.cgroup_root + "/second", "host_command": "/usr/local/bin/second"}
    assert changed(play(host, "site")) > 0
    first = host.module("container_run", name="web")["container"]
    assert changed(play(host, "site", **second)) > 0
    assert "visit number" in page(host) and "visit number" in page(host, 18081)
    assert {host.shell(name + " ps").count("running") for name in ("coracle", "second")} == {2}
    assert changed(play(host, "teardown", **second)) > 0
    assert host.module("container_run", name="web")["container"]["pid"] == first["pid"]
    assert "Hello from web" in page(host)
    assert host.shell("ls -d %s /run/second /usr/local/bin/second 2>/dev/null || true" % state) == ""


def test_stacks_are_deployed_brought_back_and_taken_away(host: Host) -> None:
    add_image(host)

    def stacks(colour: str) -> Any:
        return [{"name": "shop", "definition": {"services": {"web": service(env={"COLOUR": colour}, healthcheck=HEALTHY)}}}]

    def colour() -> str:
        return str(host.module("container_info", name="shop-web-1")["containers"][0]["options"]["env"]["COLOUR"])

    assert changed(play(host, "stack_deploy", coracle_stacks=stacks("red"))) == 1
    assert changed(play(host, "stack_deploy", coracle_stacks=stacks("blue"))) == 1 and colour() == "blue"
    assert changed(play(host, "stack_rollback", coracle_stacks=stacks("any"))) == 1 and colour() == "red"
    assert changed(play(host, "stack_remove", coracle_stacks=stacks("any"))) == 1
    assert host.module("container_info")["containers"] == []

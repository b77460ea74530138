# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a process is: never anybody else than asked for, with no more rights than were given."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cli import oci_exec
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError
from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel.paths import Root
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import exec as exec_verb, kill, users
from attacks import Ground, Refused, attempt
from bundles import config, fields
from containers import Runner


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The root of an image whose users are the attacker's."""
    (tmp_path / "etc").mkdir()
    return tmp_path


def resolve(image: Path, user: str, passwd: str, group: str = "") -> Any:
    (image / "etc/passwd").write_text(passwd, encoding="utf-8")
    (image / "etc/group").write_text(group, encoding="utf-8")
    root = Root(str(image))
    try:
        return attempt(lambda: users.resolve(root, user))
    finally:
        root.close()


@pytest.mark.advisory("CVE-2016-3697")
@pytest.mark.parametrize("line", ["1000:x:0:0::/:/bin/sh\n", "01000:x:0:0::/:/bin/sh\n",
                                  "1000:x:0:0:root:/root:/bin/sh\nroot:x:1000:5::/:"])
def test_a_user_whose_name_is_a_number_is_not_that_number(image: Path, line: str) -> None:
    found = resolve(image, "1000", line)
    assert found.uid == 1000


@pytest.mark.advisory("CVE-2024-40635")
@pytest.mark.parametrize("user", ["4294967296", "2147483648", "4294967295", "18446744073709551616", "-1", "+1", "1:4294967296",
                                  "1:-1", "1" * 5000, "0x0"])
def test_a_number_beyond_the_range_does_not_wrap_to_root(image: Path, user: str) -> None:
    assert isinstance(resolve(image, user, "root:x:0:0::/root:/bin/sh\n"), Refused)


@pytest.mark.advisory("CVE-2024-40635")
@pytest.mark.parametrize("row", ["evil:x:4294967296:0::/:", "evil:x:-1:0::/:", "evil:x:\u00b2:0::/:", "evil:x::0::/:", "evil:x:0x0:0::/:",
                                 "evil:x:0", "evil", ":x:0:0::/:", "evil:x:99999999999:0::/:"])
def test_a_line_without_good_numbers_is_nobody(image: Path, row: str) -> None:
    found = resolve(image, "evil", row + "\nroot:x:0:0::/root:/bin/sh\n")
    assert isinstance(found, Refused) and "not in the image's /etc/passwd" in found.why
    assert resolve(image, "root", row + "\nroot:x:0:0::/root:/bin/sh\n").uid == 0


@pytest.mark.advisory("CVE-2026-30892")
@pytest.mark.parametrize("text", ["1:", ":5", "1:2:3", "abc", "", ":", "-1", "4294967296", "1 ", "\u00b2", "1:abc", "0x1", "1:-2"])
def test_a_malformed_user_of_exec_is_refused(text: str) -> None:
    with pytest.raises(EngineError):
        oci_exec._user(text)


@pytest.mark.advisory("CVE-2026-30892")
@pytest.mark.parametrize("text", [":5", "1:", "1:2:3", ":", "a:b:c"])
def test_a_malformed_user_of_a_container_is_refused(image: Path, text: str) -> None:
    assert isinstance(resolve(image, text, "root:x:0:0::/root:/bin/sh\n"), Refused)


@pytest.mark.advisory("CVE-2026-30892")
def test_a_user_alone_and_with_a_group_are_taken_at_their_word(ground: Ground) -> None:
    assert oci_exec._user("1") == (1, None) and oci_exec._user("1:2") == (1, 2)
    document = ground.document(args=["sh", "-c", "id -u; id -g; id -G"], user={"uid": 7, "gid": 8, "additionalGids": [9]})
    assert ground.inside(lambda: ground.run(document)).output.split("\n")[:3] == ["7", "8", "8 9"]


def _with_inheritable(program: Path) -> None:
    """Mark a program with an inheritable capability: it gains what the process that runs it holds inheritable."""
    raw = 1 << 13  # CAP_NET_RAW
    os.setxattr(str(program), "security.capability", struct.pack("<5I", 0x02000001, 0, raw, 0, 0))


@pytest.mark.advisory("CVE-2016-8867", "CVE-2022-24769", "CVE-2022-27649", "CVE-2022-27650", "CVE-2022-27651",
                      "CVE-2022-29162", "CVE-2025-27612")
def test_nothing_is_inheritable_nor_ambient(plain: Ground) -> None:
    """Neither in a container nor in a process that is added, with capabilities of its own too."""
    program = plain.root / "bin/busybox-marked"
    program.write_bytes((plain.root / "bin/busybox").read_bytes())
    program.chmod(0o755)
    _with_inheritable(program)

    def scenario() -> Any:
        said: List[str] = [plain.run(plain.document(args=["cat", "/proc/self/status"])).output]
        document = plain.document(args=["/bin/busybox-marked", "cat", "/proc/self/status"], user={"uid": 1000, "gid": 1000})
        document["process"]["capabilities"] = {"bounding": config()["process"]["capabilities"]["bounding"]}
        gained = plain.run(document).output
        target = plain.folder / "said"

        def add(_pid: int) -> None:
            state = plain.bundle.state()
            options: Dict[str, Any] = dict.fromkeys(("process", "user", "apparmor", "process-label", "cwd"))
            options.update({"env": [], "tty": False, "additional-gids": [], "cap": ["CAP_NET_ADMIN"], "no-new-privs": False})
            process = oci_exec._process(state, options, ["cat", "/proc/self/status"])
            handle = os.open(str(target), os.O_RDWR | os.O_CREAT)
            started = exec_verb.run(state, process, stdout=handle)
            os.waitpid(started.pid, 0)
            os.close(started.pidfd)
            os.close(handle)
            said.append(target.read_text(encoding="ascii"))
            kill.kill(state, 9)
        plain.run(plain.document(args=["sleep", "60"]), while_running=add)
        return said, gained
    said, gained = plain.inside(scenario)
    assert len(said) == 2 and int(fields(said[1])["CapEff"], 16) & 1 << 12
    for status in said:
        assert int(fields(status)["CapInh"], 16) == int(fields(status)["CapAmb"], 16) == 0
    assert int(fields(gained)["CapEff"], 16) == int(fields(gained)["CapPrm"], 16) == 0


@pytest.mark.parametrize("extra", [[], ["CAP_SYS_MODULE"]])
def test_while_it_is_set_up_a_process_has_no_more_than_that_needs(ground: Ground, extra: List[str]) -> None:
    """A hook of the host looks: modules, raw devices and the memory of others are out of reach unless they were given."""
    said = ground.folder / "said"
    document = ground.document(args=["true"])
    for kind in ("bounding", "effective", "permitted"):
        document["process"]["capabilities"][kind] = [*document["process"]["capabilities"][kind], *extra]
    script = "pid=$(tr -dc '{}a-z0-9:,\"' | sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/'); cat /proc/$pid/status > %s" % said
    document["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"]}]}
    ground.inside(lambda: ground.run(document))
    status = fields(said.read_text(encoding="ascii"))
    held = int(status["CapPrm"], 16)
    never = sum(1 << number for number in (2, 16, 17, 19, 22, 34, 39) if not (extra and number == 16))
    assert held & 1 << 21 and held & never == 0 and bool(held & 1 << 16) == bool(extra)


@pytest.mark.advisory("CVE-2017-5226")
@pytest.mark.parametrize("verb", ["create", "exec"])
def test_the_callers_terminal_is_not_the_containers(plain: Ground, verb: str) -> None:
    """Standard input is a terminal of the host: as a controlling one, keys could be typed into it (TIOCSTI)."""
    code = ("import fcntl, os, sys, termios\nfields = open('/proc/self/stat').read().rpartition(')')[2].split()\n"
            "typed = 0\n"
            "try:\n    fcntl.ioctl(0, termios.TIOCSTI, b'x')\n    typed = 1\nexcept OSError:\n    pass\n"
            "print(int(fields[3]) == os.getpid(), fields[4], typed)\n")

    def scenario() -> str:
        if os.fork():
            os.wait()
            return plain.bundle.said("out") if verb == "create" else (plain.folder / "said").read_text(encoding="ascii")
        try:
            os.setsid()
            master, slave = os.openpty()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            os.set_inheritable(master, False)
            from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import create, delete
            out = os.open(str(plain.bundle.folder / "out"), os.O_RDWR | os.O_CREAT, 0o666)
            document = plain.program(code)
            if verb == "exec":
                document["process"]["args"] = ["sleep", "60"]
            made = create.create(str(plain.bundle.folder), plain.bundle.state(), document, stdin=slave, stdout=out, stderr=out,
                                 wait=False, cgroup=plain.bundle.cgroup)
            if verb == "exec":
                process = exec_verb.process_like_init(plain.bundle.state(), ["/usr/bin/python3", "-IS", "-c", code])
                said = os.open(str(plain.folder / "said"), os.O_RDWR | os.O_CREAT, 0o666)
                started = exec_verb.run(plain.bundle.state(), process, stdin=slave, stdout=said, stderr=said)
                os.waitpid(started.pid, 0)
                kill.kill(plain.bundle.state(), 9)
            os.waitpid(made.pid, 0)
            delete.delete(plain.bundle.state())
        finally:
            os._exit(0)
    assert plain.inside(scenario) == "True 0 0\n"


@pytest.mark.advisory("CVE-2022-2989", "CVE-2022-2990", "CVE-2022-36109", "CVE-2023-25173")
def test_groups_are_the_images_and_a_denied_group_is_denied(run: Runner) -> None:
    """A file that the user's group may not read stays unread: the primary group is among the others too."""
    assert run.output("one", "id -G", user="web").split() == ["1000", "2000"]
    assert run.output("two", "id -G", user="0").split() == ["0"]
    assert run.output("three", "id -G", user="1000:2000", groups=["3000"]).split() == ["2000", "3000"]
    text = run.output("four", "grep Groups /proc/self/status", user="web").split()
    assert text[1:] == ["1000", "2000"]


@pytest.mark.advisory("CVE-2016-8867", "CVE-2022-24769", "CVE-2022-27649")
@pytest.mark.parametrize("user", ["0", "web"])
def test_a_containers_defaults_give_no_inheritable_capability(run: Runner, user: str) -> None:
    """Also where one is added; another user than root has none at all."""
    status = fields(run.output("one", "cat /proc/self/status", user=user, capabilities=["NET_ADMIN"]))
    sets: Tuple[int, ...] = tuple(int(status[name], 16) for name in ("CapInh", "CapAmb", "CapEff"))
    assert sets[:2] == (0, 0) and bool(sets[2]) == (user == "0")

# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The short forms of what also has a long one, and values that have a form of their own."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.coracle.containers.plugins.module_utils import values
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup import weights
from .document import Block, Items, Node, Scalar, written
from .findings import Findings, Unsupported, Wrong
from .kinds import Mapping, Names, Pairs
from .leaves import Leaf, Located, Spec, any_as, boolean, located, microseconds, path_of, shown, size, text_as, text_of

_PORT = re.compile(r"^(?:(?:(?P<address>\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f.:]+):)?(?P<host>[0-9]{1,5}(?:-[0-9]{1,5})?|(?<=:)):)?"
                   r"(?P<inner>[0-9]{1,5}(?:-[0-9]{1,5})?)(?:/(?P<protocol>tcp|udp|sctp))?\Z")
_MODES = ("rprivate", "private", "rshared", "shared", "rslave", "slave")
PORT_WORDS = "[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL], such as 8080:80"


def short_port(node: Scalar) -> List[Dict[str, Any]]:
    """C([[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]); a range of ports is one value for each."""
    if isinstance(node.value, bool) or not isinstance(node.value, (int, str)):
        raise Wrong("is %s, but has to be %s" % (shown(node), PORT_WORDS))
    match = _PORT.match(written(node.value).strip())
    if not match:
        raise Wrong("is %s, but has to be %s" % (shown(node), PORT_WORDS))
    inner = _range(match.group("inner"), node)
    host = match.group("host")
    found = []
    outer = _range(host, node) if host else None
    if outer and len(inner) > 1 and len(outer) != len(inner):
        raise Wrong("is %s, whose ranges have not the same length" % shown(node))
    for at, port in enumerate(inner):
        row = {"target": port, "protocol": match.group("protocol") or "tcp"}  # type: Dict[str, Any]
        if outer:
            row["published"] = "%d" % outer[at] if len(inner) > 1 or len(outer) == 1 else host
        if match.group("address"):
            row["host_ip"] = match.group("address").strip("[]")
        found.append(row)
    return found


def _range(text: str, node: Scalar) -> List[int]:
    low, _dash, high = text.partition("-")
    first, last = int(low), int(high or low)
    if not 1 <= first <= last <= 65535:
        raise Wrong("is %s, which has a port that is not between 1 and 65535, or a range that ends before it begins" % shown(node))
    return list(range(first, last + 1))


def published(text: str) -> str:
    """The host's port, or a range of them."""
    match = re.match(r"^([0-9]{1,5})(?:-([0-9]{1,5}))?\Z", text)
    if not match or not 1 <= int(match.group(1)) <= int(match.group(2) or match.group(1)) <= 65535:
        raise ValueError("is no port and no range of them")
    return text


def port_key(row: Dict[str, Any]) -> Tuple[Any, ...]:
    """What two entries of C(ports) must not have in common."""
    return (row.get("host_ip", ""), row.get("published"), row.get("target"), row.get("protocol", "tcp"))


def short_volume(node: Scalar) -> List[Dict[str, Any]]:
    """C([SOURCE:]TARGET[:OPTIONS]): a bind mount if the source is a path, else a volume."""
    parts = text_of(node).split(":")
    if not 1 <= len(parts) <= 3 or not all(parts):
        raise Wrong("is %s, but has to be [SOURCE:]TARGET[:OPTIONS]" % shown(node))
    if len(parts) == 1:
        return [{"type": "volume", "target": parts[0]}]
    row = {"type": "volume", "source": Located.of(parts[0], node.place), "target": parts[1]}  # type: Dict[str, Any]
    if parts[0][0] in "./~":
        row.update(type="bind", bind={"create_host_path": True})
    for option in parts[2].split(",") if len(parts) == 3 else ():
        if option in ("ro", "rw"):
            row["read_only"] = option == "ro"
        elif option in _MODES:
            row.setdefault("bind", {})["propagation"] = option
        elif option in ("z", "Z"):
            row.setdefault("bind", {})["selinux"] = option
        elif option == "nocopy":
            row.setdefault("volume", {})["nocopy"] = True
        elif option in ("cached", "delegated", "consistent"):
            pass  # how Docker Desktop caches; nothing on Linux
        else:
            row.setdefault("options", []).append(option)
    return [row]


def short_mount(node: Scalar) -> List[Dict[str, Any]]:
    """The name of a secret or config."""
    return [{"source": text_of(node)}]


def mount_key(row: Dict[str, Any]) -> str:
    """Where a secret or config appears, as far as the service says it."""
    return str(row.get("target") or row.get("source"))


def short_device(node: Scalar) -> List[Dict[str, Any]]:
    """C(HOST[:CONTAINER[:ACCESS]])."""
    text = text_of(node)
    if not text.startswith("/"):
        raise Unsupported("%s is a device of the Container Device Interface; name the device files themselves" % shown(node))
    parts = text.split(":")
    if len(parts) > 3 or not all(parts):
        raise Wrong("is %s, but has to be HOST[:CONTAINER[:ACCESS]]" % shown(node))
    if len(parts) == 2 and not parts[1].startswith("/"):
        parts.insert(1, parts[0])
    return [dict(zip(("source", "target", "permissions"), parts))]


def short_file(node: Scalar) -> List[Dict[str, Any]]:
    """The path of an C(env_file)."""
    return [{"path": path_of(node)}]


def short_include(node: Scalar) -> List[Dict[str, Any]]:
    """The path of an included file."""
    return [{"path": [local_path(node)]}]


def local_path(node: Scalar) -> Located:
    """The path of a file of the project."""
    if re.match(r"^(https?://|git@|git://|ssh://|oci:|github\.com/)", text_of(node)):
        raise Unsupported("%s is fetched from elsewhere; bring it to the controller first, so that it is known what runs" % shown(node))
    return path_of(node)


def short_limit(node: Scalar) -> Dict[str, Any]:
    """A single figure for both limits."""
    value = _limit(node)
    return {"soft": value, "hard": value}


def _limit(node: Scalar) -> str:
    text = written(node.value)
    if isinstance(node.value, bool) or not re.match(r"^(-1|[0-9]{1,20})\Z", text):
        raise Wrong("is %s, but has to be a number, -1 for no limit" % shown(node))
    return text


LIMIT = Leaf("a number, -1 for no limit", _limit)


class Hosts(Pairs):
    """Names of hosts with their addresses, as a mapping or a list of C(NAME=ADDRESS) or C(NAME:ADDRESS)."""

    def __init__(self) -> None:
        super().__init__(types=(str,))
        self.separator = re.compile("[=:]")

    def value(self, node: Node) -> Any:
        """An address."""
        several = node.nodes if isinstance(node, Items) else [node]
        found = [super(Hosts, self).value(each) for each in several]
        if not found or not all(found):
            raise Wrong("has no address")
        if len(found) > 1:
            raise Unsupported("has more than one address, and a host can have one here")
        return found[0].strip("[]")


class Logging(Mapping):
    """A log's driver and options; another driver begins anew when files are merged."""

    def merge(self, spec: Spec, base: Node, over: Node) -> Node:
        """Key by key, where both say the same driver or one says none."""
        drivers = [node.entries["driver"].text for node in (base, over)
                   if isinstance(node, Block) and isinstance(node.entries.get("driver"), Scalar)]
        return super().merge(spec, base, over) if len(set(drivers)) < 2 else over


class Dependencies(Names):
    """Services with what is waited for."""

    def read(self, spec: Spec, node: Node, path: str, findings: Findings) -> Any:
        """A dict of dicts; those without a condition are C(service_started)."""
        found = super().read(spec, node, path, findings)
        for row in found.values():
            row.setdefault("condition", "service_started")
        return found


def short_external(node: Scalar) -> Dict[str, Any]:
    """Whether it exists already."""
    return {"external": boolean(node)}


def name(text: str) -> str:
    """A container's name."""
    if not re.match(r"^[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z", text):
        raise ValueError("is no name of a container")
    return values.name(text)


def restart(text: str) -> str:
    """A restart policy."""
    if not re.match(r"^(no|always|unless-stopped|on-failure(:[0-9]{1,6})?)\Z", text):
        raise ValueError("is no restart policy")
    return text


def pull(text: str) -> Optional[str]:
    """When to ask the registry."""
    if text in ("always", "never", "missing"):
        return text
    if text in ("if_not_present", "build"):
        return "missing" if text == "if_not_present" else None
    if re.match(r"^(refresh|daily|weekly|every_([0-9]+[wdhms])+)\Z", text):
        raise Unsupported("%r depends on the age of an image; use 'always', or 'newer' in the task" % text)
    raise ValueError("is none of always, missing, if_not_present, never and build")


def cpus(text: str) -> Optional[str]:
    """A number of CPUs; 0 says nothing."""
    found = float(text)
    return written(values.cpus(found)) if found else None


def shares(text: str) -> Optional[int]:
    """CPU shares as a weight of cgroup v2; 0 says nothing."""
    found = values.integer(0, 1 << 18)(text)
    return weights.cpu_weight(found) if found else None


def memory(text: str) -> Optional[str]:
    """Bytes; 0 says nothing."""
    found = size(text)
    return None if found == "0" else found


def count(text: str) -> Optional[str]:
    """A number of processes; 0 is no limit, as -1."""
    found = values.integer(-1, 1 << 40)(text)
    return "%d" % (found or -1)


def span(text: str) -> Optional[int]:
    """Microseconds, or a duration; 0 says nothing."""
    return (int(text) if re.match(r"^-?[0-9]{1,18}\Z", text) else microseconds(text)) or None


def span_text(text: str) -> Optional[str]:
    """The same as a text."""
    found = span(text)
    return None if found is None or found < 0 else "%d" % found


def unless(node: Scalar) -> Optional[bool]:
    """The opposite of a truth value, where that is true."""
    return False if boolean(node) else None


def io_weight(text: str) -> Optional[int]:
    """A weight of 10 to 1000 as one of cgroup v2, 1 to 10000; 0 says nothing."""
    found = values.integer(0, 1000)(text)
    if 0 < found < 10:
        raise ValueError("is not between 10 and 1000")
    return weights.io_weight(found) if found else None


def mode(node: Scalar) -> str:
    """Permission bits, in octal: a number that YAML has read as such, or a text."""
    if isinstance(node.value, int) and not isinstance(node.value, bool) and 0 <= node.value <= 0o7777:
        return "%04o" % node.value
    text = node.text
    if not isinstance(node.value, str) or not re.match(r"^(0o?)?[0-7]{1,4}\Z", text):
        raise Wrong("is %s, but has to be an octal mode such as 0440" % shown(node))
    return "%04o" % int(text.replace("o", ""), 8)


def identity(text: str) -> int:
    """A user or group by number."""
    return values.integer(0, values.LAST_ID)(text)


def ratio(text: str) -> float:
    """A part of the whole."""
    found = float(text)
    if not 0 <= found <= 1:
        raise ValueError("is not between 0 and 1")
    return found


def seconds(text: str) -> Any:
    """A duration in seconds."""
    found = microseconds(text)
    return found // 1000000 if found % 1000000 == 0 else found / 1000000


RESTART = text_as("no, always, on-failure[:N] or unless-stopped", restart)
PULL = text_as("always, missing, never or build", pull)
CPUS = any_as("a number such as 0.5", cpus)
SHARES = any_as("a number from 2 to 262144", shares)
MEMORY = any_as("a size such as 512m", memory)
MEMORY_TEXT = text_as("a size such as 512m", memory)
NAME = text_as("at least two letters, digits, _, ., -, the first a letter or digit", name)
COUNT = any_as("a whole number, -1 for no limit", count)
SPAN = any_as("microseconds, or a duration", span)
SPAN_TEXT = any_as("microseconds, or a duration", span_text)
UNLESS = Leaf("true or false", unless)
IO_WEIGHT = any_as("a number from 10 to 1000", io_weight)
MODE = Leaf("an octal mode such as 0440", mode)
IDENTITY = any_as("the number of a user or group", identity)
RATIO = any_as("a number from 0 to 1", ratio)
SECONDS = text_as("a duration such as 10s", seconds)
PUBLISHED = any_as("a port such as 8080, or a range", published)
TARGET = any_as("a port from 1 to 65535", values.integer(1, 65535))
LOCAL = Leaf("a path", local_path)
SOURCE = Leaf("a name or path", located)

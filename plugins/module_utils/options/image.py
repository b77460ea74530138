# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of C(container_image): each declared here and nowhere else."""

from __future__ import annotations

import re
import signal
from typing import Any

from .. import values
from ..engine.image import references
from ..engine.plan import RECREATE
from ..option import NOT_COMPARED, STRICT, UNORDERED, Option
from .registry import PULL, REGISTRY

_DIGEST = re.compile(r"^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})\Z")
_PORT = re.compile(r"^(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?\Z")
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)\Z")


def digest(value: Any) -> str:
    """A sha256 or sha512 digest."""
    if not _DIGEST.match(str(value)):
        raise ValueError("is no digest")
    return str(value)


def diff_id(value: Any) -> str:
    """A sha256 digest, by which layers are kept."""
    if not digest(value).startswith("sha256:"):
        raise ValueError("is no sha256 digest")
    return str(value)


def port(value: Any) -> str:
    """C(8080), C(8080/udp) or C(8000-8010/tcp) as image-spec writes it: always with the protocol."""
    match = _PORT.match(str(value))
    if not match or not all(0 < int(each) < 65536 for each in match.groups()[:2] if each):
        raise ValueError("is no port")
    return "%s%s/%s" % (int(match.group(1)), "-%d" % int(match.group(2)) if match.group(2) else "",
                        match.group(3) or "tcp")


def stop_signal(value: Any) -> str:
    """C(SIGTERM), C(TERM) or C(15) as C(SIGTERM); real-time signals as C(SIGRTMIN+3)."""
    text = str(value).upper()
    if text.isdigit():
        try:
            return signal.Signals(int(text)).name
        except ValueError:
            raise ValueError("is no signal")
    text = text if text.startswith("SIG") else "SIG" + text
    if not re.match(r"^SIGRTM(IN\+|AX-)\d{1,2}\Z", text) and text not in signal.Signals.__members__:
        raise ValueError("is no signal")
    return text


def _time(value: Any) -> str:
    if not _TIME.match(str(value)):
        raise ValueError("is no time as RFC 3339 writes it")
    return str(value)


OPTIONS = (
    Option("name", parse=references.name_or_identity, form=references.FORM, compare=NOT_COMPARED,
           aliases=("reference",)),
    Option("state", default="present", choices=("present", "absent", "tagged", "saved", "loaded", "pushed", "unpushed"),
           compare=NOT_COMPARED),
    Option("source", type="path", compare=STRICT, disruption=RECREATE, parse=values.absolute_path,
           form="an absolute path on the managed host", read_from="refs/ and the manifest that the name points to"),
    Option("source_type", default="auto", choices=("auto", "oci", "oci-archive", "docker-archive", "rootfs"),
           compare=NOT_COMPARED),
    Option("source_reference", compare=NOT_COMPARED),
    Option("digest", parse=digest, form="sha256: and 64 lower-case hexadecimal digits, or sha512: and 128", compare=NOT_COMPARED),
    Option("tags", aliases=("target_names",), type="list", elements="str", parse=references.normal, form=references.FORM, compare=UNORDERED,
           read_from="refs/"),
    Option("dest", type="path", parse=values.absolute_path, form="an absolute path on the managed host",
           compare=NOT_COMPARED),
    Option("dest_type", default="docker-archive", choices=("oci", "oci-archive", "docker-archive", "rootfs", "rootfs-folder"),
           compare=NOT_COMPARED),
    Option("images", type="list", elements="str", parse=references.name_or_identity, form=references.FORM,
           compare=NOT_COMPARED),
    Option("destination", parse=references.normal, form=references.FORM, compare=NOT_COMPARED),
    Option("compression", choices=("none", "gzip", "zstd"), compare=NOT_COMPARED),
    *PULL,
    *REGISTRY,
    Option("verify", type="dict", compare=NOT_COMPARED, options=(
        Option("keys", type="list", elements="str", no_log=False, compare=NOT_COMPARED),
        Option("policy", type="path", parse=values.absolute_path, form="an absolute path on the managed host",
               compare=NOT_COMPARED))),
    Option("layer_store", default="auto", choices=("auto", "erofs", "directory"), compare=NOT_COMPARED),
    Option("entrypoint", type="list", elements="str", disruption=RECREATE, read_from="the image's config"),
    Option("cmd", type="list", elements="str", disruption=RECREATE, aliases=("command",),
           read_from="the image's config"),
    Option("env", type="dict", parse=values.mapping_of_text, form="a mapping of strings; quote numbers",
           disruption=RECREATE, read_from="the image's config"),
    Option("working_dir", type="path", parse=values.absolute_path, form="an absolute path in the image",
           disruption=RECREATE, read_from="the image's config"),
    Option("user", disruption=RECREATE, read_from="the image's config"),
    Option("exposed_ports", type="list", elements="str", parse=port, form="8080, 8080/udp or 8000-8010/tcp",
           compare=UNORDERED, disruption=RECREATE, read_from="the image's config"),
    Option("labels", type="dict", parse=values.mapping_of_text, form="a mapping of strings; quote numbers",
           disruption=RECREATE, read_from="the image's config"),
    Option("volumes", type="list", elements="str", parse=values.absolute_path, form="absolute paths in the image",
           compare=UNORDERED, disruption=RECREATE, read_from="the image's config"),
    Option("stop_signal", parse=stop_signal, form="a signal such as SIGTERM or SIGRTMIN+3", disruption=RECREATE,
           read_from="the image's config"),
    Option("created", parse=_time, form="2026-01-31T12:00:00Z", disruption=RECREATE, read_from="the image's config"),
)
"""The table."""

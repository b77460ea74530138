# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container may do: capabilities, system calls, paths, labels. The defaults are Docker's."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..errors import InvalidValue, NotFound, Unsupported
from ..kernel.capabilities import NAMES
from ..runtime import labels, seccomp_default

CAPABILITIES = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
                "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",
                "CAP_AUDIT_WRITE")
MASKED = ("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
          "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
          "/sys/devices/virtual/powercap", "/sys/firmware")
"""And C(thermal_throttle) of each CPU."""
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_CPUS = "/sys/devices/system/cpu"
_SELINUX = {"user": "system_u", "role": "system_r", "type": "container_t", "level": "s0"}
"""The parts of a process's context in the order in which it is written, and what they are by default."""


def values_of(options: Mapping[str, Any], key: str) -> List[str]:
    """What C(security_opts) says for a key, such as C(seccomp)."""
    return [each.partition("=")[2] for each in options.get("security_opts") or () if each.startswith(key + "=")]


def value_of(options: Mapping[str, Any], key: str) -> str:
    """The one value for a key, or nothing."""
    return (values_of(options, key) or [""])[0]


def settle(full: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    """Fill in what follows from C(privileged) and C(security_opts), and check that it goes together; reads only.

    Returns: The custom system call profile, if there is one.

    Raises:
        InvalidValue, NotFound, Unsupported: An option cannot be had; names it.
    """
    said = value_of(full, "no-new-privileges")
    if full["no_new_privileges"] is None:
        full["no_new_privileges"] = said == "true" if said else not full["privileged"]
    elif said and (said == "true") != full["no_new_privileges"]:
        raise InvalidValue("no_new_privileges", full["no_new_privileges"],
                           "contradicts 'no-new-privileges' in 'security_opts'", "Leave one of the two out")
    full["security_opts"] = [each for each in full["security_opts"] if not each.startswith("no-new-privileges=")]
    apparmor = value_of(full, "apparmor")
    if apparmor not in ("", "unconfined") and not labels.apparmor_enabled():
        raise Unsupported("option 'security_opts': this kernel has no AppArmor to enforce 'apparmor=%s'" % apparmor,
                          "Leave it out on this host")
    if any(each != "disable" for each in values_of(full, "label")) and not labels.selinux_enabled():
        raise Unsupported("option 'security_opts': this kernel has no SELinux to enforce a label",
                          "Leave it out on this host")
    return _profile(full)


def _profile(full: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    """The profile that C(seccomp=) names, or holds; the option then tells its digest, so that a change of it is seen."""
    said = value_of(full, "seccomp")
    if said in ("", "unconfined", "builtin"):
        if said == "builtin":
            full["security_opts"] = [each for each in full["security_opts"] if each != "seccomp=builtin"]
        return None
    import hashlib  # pylint: disable=import-outside-toplevel
    from ..runtime import seccomp_profile  # pylint: disable=import-outside-toplevel
    inline = not said.startswith("/")
    if inline:
        name, content = "the profile in option 'security_opts'", said.encode("utf-8", "surrogateescape")
    else:
        name = "the seccomp profile %s" % said
        content = _read(said, seccomp_profile.LIMIT)
    profile = seccomp_profile.read(content, name)
    told = "seccomp=%s@sha256:%s" % ("inline" if inline else said, hashlib.sha256(content).hexdigest())
    full["security_opts"] = [told if each.startswith("seccomp=") else each for each in full["security_opts"]]
    return profile


def _read(path: str, limit: int) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise NotFound("option 'security_opts': the seccomp profile %s cannot be read: %s" % (path, error.strerror),
                       "Bring it to the host first, for example with ansible.builtin.copy") from error
    try:
        import stat  # pylint: disable=import-outside-toplevel
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise InvalidValue("security_opts", "seccomp=" + path, "is no ordinary file", "Name a JSON file")
        with os.fdopen(os.dup(handle), "rb") as stream:
            return stream.read(limit + 1)
    finally:
        os.close(handle)


def capabilities(options: Mapping[str, Any]) -> List[str]:
    """Docker's default set, plus and minus; C(ALL) on either side means every one, and drops are undone by adds."""
    if options.get("privileged"):
        return sorted(NAMES)
    added, dropped = options.get("capabilities") or (), options.get("cap_drop") or ()
    granted = set() if "ALL" in dropped else set(CAPABILITIES)
    if "ALL" in added:
        granted = set(NAMES)
    granted -= set(dropped) - {"ALL"}
    granted |= set(added) - {"ALL"}
    return sorted(granted)


def seccomp(options: Mapping[str, Any], profile: Optional[Mapping[str, Any]]) -> Optional[Dict[str, Any]]:
    """linux.seccomp of a container; C(None) where nothing is filtered.

    Args:
        profile: The custom one, if there is one.
    """
    if profile is not None:
        from ..runtime import seccomp_profile  # pylint: disable=import-outside-toplevel
        return seccomp_profile.section(profile, capabilities(options))
    if options.get("privileged") or value_of(options, "seccomp") == "unconfined":
        return None
    return seccomp_default.section(capabilities(options))


def paths(options: Mapping[str, Any]) -> Tuple[List[str], List[str]]:
    """maskedPaths and readonlyPaths."""
    unmasked = {path for each in values_of(options, "unmask") for path in each.split(":")}
    if options.get("privileged") or "ALL" in unmasked or value_of(options, "systempaths") == "unconfined":
        masked, read_only = [], []  # type: List[str], List[str]
    else:
        masked = [path for path in _all_masked() if path not in unmasked]
        read_only = [path for path in READ_ONLY if path not in unmasked]
    more = {path for each in values_of(options, "mask") for path in each.split(":")}
    return masked + sorted(more - set(masked)), [path for path in read_only if path not in more]


def _all_masked() -> Sequence[str]:
    """Docker's list; where CPUs tell how often they were throttled, that too, which tells of the neighbours' work."""
    try:
        names = os.listdir(_CPUS)
    except OSError:
        return MASKED
    per_cpu = ["%s/%s/thermal_throttle" % (_CPUS, name) for name in sorted(names)
               if name.startswith("cpu") and name[3:].isdigit()]
    # All CPUs have it or none: on most virtual machines none.
    return [*MASKED, *per_cpu] if per_cpu and os.path.exists(per_cpu[0]) else MASKED


def process_labels(options: Mapping[str, Any]) -> Dict[str, str]:
    """Members of C(process): its AppArmor profile and SELinux context, where asked for."""
    found = {}
    apparmor = value_of(options, "apparmor")
    if apparmor:
        found["apparmorProfile"] = apparmor
    said = [each for each in values_of(options, "label") if each != "disable"]
    if said and "disable" not in values_of(options, "label"):
        parts = dict(_SELINUX, **dict(each.split(":", 1) for each in said))
        found["selinuxLabel"] = ":".join(parts[key] for key in _SELINUX)
    return found

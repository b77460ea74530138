# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a service that are more than one option each: what its process is, may do and may use."""

from __future__ import annotations

import json
import os
import re
from typing import Any, Callable, Dict, Optional, Tuple

from .findings import ComposeError, Unsupported, Wrong
from .leaves import Located
from .project import env_file, read_text
from .services import Service

_LOG_DRIVERS = {"json-file": "json-file", "local": "json-file", "journald": "journald", "syslog": "syslog", "none": "none",
                "k8s-file": "k8s-file"}
_ONE_SHOT = ("replicated-job", "global-job")


def _environment(service: Service) -> None:
    """C(env_file), and C(environment) over it."""
    env: Dict[str, str] = {}
    for row in service.said.get("env_file", ()):
        if "path" not in row:
            service.wrong("env_file", "has an entry without a path")
            continue
        path = row["path"]
        if not row.get("required", True) and not os.path.exists(path):
            continue
        try:
            found = env_file(service.setting.project.read, path, path.place.source.variables, row.get("format") == "raw")
            env.update((key, value) for key, value in found.items() if value is not None)
        except (ComposeError, Wrong) as error:
            service.findings.wrong(path.place, service.path + ".env_file", str(error) if isinstance(error, ComposeError) else
                                   "%s: %s" % (path, error))
    for key, value in service.said.get("environment", {}).items():
        value = _known(service, "environment", key, value)
        if value is not None:
            env[key] = value
        else:
            env.pop(key, None)
    service.put("env", env, "environment")


def _known(service: Service, path: str, key: str, value: Optional[str]) -> Optional[str]:
    """The value of a variable of a program, which may be that of a variable of the project."""
    if value is not None:
        return value
    place = service.at("%s.%s" % (path, key))
    return (place.source if place else service.setting.project).variables.get(key)


def _hooks(service: Service) -> None:
    """What is run after the start and before the stop."""
    for part in ("post_start", "pre_stop"):
        found = []
        for at, said in enumerate(service.said.get(part, ())):
            path = "%s[%d]" % (part, at)
            if not said.get("command"):
                service.wrong(path, "has no command")
                continue
            env = {key: _known(service, path + ".environment", key, value) for key, value in said.get("environment", {}).items()}
            row = {key: said[key] for key in ("command", "user", "privileged", "working_dir") if key in said}
            found.append(dict(row, env={key: value for key, value in env.items() if value is not None}) if env else row)
        service.put(part, found, part)


def _labels(service: Service) -> None:
    """C(label_file), and C(labels) over it."""
    labels: Dict[str, str] = {}
    for key in service.said.get("labels", {}):
        if key.startswith("com.docker.compose."):
            service.wrong("labels." + key, "begins like those that a container gets by itself")
    for path in service.said.get("label_file", ()):
        try:
            found = env_file(service.setting.project.read, path, path.place.source.variables)
            labels.update((key, value or "") for key, value in found.items())
        except (ComposeError, Wrong) as error:
            service.findings.wrong(path.place, service.path + ".label_file", str(error))
    if labels:
        service.put("labels", {**labels, **service.said.get("labels", {})}, "labels")


def _image(service: Service) -> None:
    """The image, or how it is built."""
    build = service.said.get("build")
    if build is None:
        if "image" not in service.found:
            service.wrong("image", "is missing: a service has an image or a build")
        return
    build = dict(build)
    context = build.get("context")
    try:
        build["context"] = context and _context(service, context) or service.setting.folder
        if "additional_contexts" in build:
            build["additional_contexts"] = {key: _context(service, Located.of(text, service.at("build.additional_contexts.%s" % key)))
                                            for key, text in build["additional_contexts"].items()}
    except Wrong as error:
        service.wrong("build.context", str(error))
    except Unsupported as error:
        service.unsupported("build.additional_contexts", str(error))
        del build["additional_contexts"]
    if "args" in build:
        known = {key: service.setting.project.variables.get(key) if value is None else value for key, value in build["args"].items()}
        build["args"] = {key: value for key, value in known.items() if value is not None}
    if "secrets" in build:
        for at, row in enumerate(build["secrets"]):
            if not row.get("source"):
                service.wrong("build.secrets[%d]" % at, "has no source")
    if build.get("dockerfile") and build.get("dockerfile_inline"):
        service.wrong("build.dockerfile_inline", "says again what 'dockerfile' says")
    service.put("build", {key: value for key, value in sorted(build.items()) if value not in (None, {}, [])}, "build")
    if "image" not in service.found:
        service.put("image", "%s-%s" % (service.setting.project.name, service.name), "build")


def _context(service: Service, text: Located) -> str:
    if re.match(r"^([a-z][a-z0-9+-]*://|git@|target:|github\.com/)", text):
        return str(text)
    if text.startswith("service:"):
        raise Unsupported("'%s' is an image that is to be built first; build it in a task before" % text)
    return service.setting.on_host(text)


def _restart(service: Service) -> None:
    """C(deploy.restart_policy), else C(restart)."""
    policy = service.said.get("deploy", {}).get("restart_policy")
    if policy is None or not policy.get("condition") and "max_attempts" not in policy:
        if policy is not None:
            service.put("restart_policy", "always", "deploy.restart_policy")  # the condition's default is any
        elif service.said.get("restart"):
            service.put("restart_policy", service.said["restart"], "restart")
        return
    condition = policy.get("condition", "any")
    text = {"none": "no", "no": "no", "any": "always"}.get(condition, condition)
    attempts = policy.get("max_attempts")
    if attempts and text == "on-failure":
        text = "on-failure:%d" % attempts
    elif attempts and text != "no":
        service.unsupported("deploy.restart_policy.max_attempts", "counts restarts after failures alone, with 'condition: on-failure'")
    service.put("restart_policy", text, "deploy.restart_policy")


def _health(service: Service) -> None:
    check = dict(service.said.get("healthcheck", {}))
    if not check:
        return
    if check.pop("disable", False):
        if check.get("test", ["NONE"]) != ["NONE"]:
            service.wrong("healthcheck.disable", "contradicts the test")
        service.put("healthcheck", {"test": ["NONE"]}, "healthcheck.disable")
        return
    for key in ("interval", "timeout", "start_interval", "retries"):
        if check.get(key) in ("0s", 0):  # Docker's word for what it does by itself
            del check[key]
    if check.get("test") == ["NONE"]:
        check = {"test": ["NONE"]}
    service.put("healthcheck", check, "healthcheck")


def _log(service: Service) -> None:
    said = service.said.get("logging", {})
    driver = said.get("driver")
    if driver and driver not in _LOG_DRIVERS:
        service.unsupported("logging.driver", "'%s' is none of %s" % (driver, ", ".join(_LOG_DRIVERS)))
        return
    if driver:
        service.put("log_driver", _LOG_DRIVERS[driver], "logging.driver")
    more = {}
    for key, value in said.get("options", {}).items():
        if key == "max-size":
            service.put("log_max_size", value, "logging.options.max-size")
        elif key == "max-file":
            service.put("log_max_files", int(value) if re.match(r"^[0-9]{1,3}\Z", value) else value, "logging.options.max-file")
        elif key in ("tag", "syslog-address", "syslog-facility"):
            more[{"syslog-address": "syslog_address", "syslog-facility": "facility"}.get(key, key)] = value
        else:
            service.unsupported("logging.options." + key, "is no option of a log here")
    if more.get("tag") and "{{" in more["tag"]:
        service.unsupported("logging.options.tag", "is a template; write a plain tag")
        del more["tag"]
    service.put("log_options", more, "logging.options")


def _cgroup(service: Service) -> None:
    """A group that is no slice of systemd is below the root of the hierarchies, as Docker has it."""
    parent = service.found.get("cgroup_parent")
    if parent and not parent.startswith("/") and not parent.endswith(".slice"):
        service.put("cgroup_parent", "/" + parent, "cgroup_parent")


def _memory(service: Service) -> None:
    """C(memswap_limit) is memory and swap together, C(memory_swap_max) swap alone."""
    both = service.said.get("memswap_limit")
    if both is None or both == "0":
        return
    memory = service.found.get("memory_max")
    if both == "-1":
        service.put("memory_swap_max", "-1", "memswap_limit")
    elif memory in (None, "-1"):
        service.wrong("memswap_limit", "needs mem_limit, since it is memory and swap together")
    elif int(both) < int(memory):
        service.wrong("memswap_limit", "is less than mem_limit, and is memory and swap together")
    else:
        service.put("memory_swap_max", "%d" % (int(both) - int(memory)), "memswap_limit")


def _block_devices(service: Service) -> None:
    said = service.said.get("blkio_config", {})
    limits: Dict[str, Dict[str, Any]] = {}
    for name in ("read_bps", "write_bps", "read_iops", "write_iops"):
        for row in said.get("device_" + name, ()):
            if "path" not in row or "rate" not in row:
                service.wrong("blkio_config.device_" + name, "has an entry without a path or a rate")
                continue
            limits.setdefault(row["path"], {"device": row["path"]})[name] = str(row["rate"])
    service.put("io_limits", list(limits.values()), "blkio_config")
    service.put("io_device_weights", [{"device": row["path"], "weight": row["weight"]} for row in said.get("weight_device", ())
                                      if "path" in row and "weight" in row], "blkio_config.weight_device")


def _devices(service: Service) -> None:
    found = []
    for row in service.said.get("devices", ()):
        if "source" not in row:
            service.wrong("devices", "has an entry without a source")
            continue
        parts = [row["source"], row.get("target") or row["source"], row.get("permissions") or "rwm"]
        found.append(":".join(parts))
    service.put("devices", found, "devices")


def _ulimits(service: Service) -> None:
    found = []
    for name, row in sorted(service.said.get("ulimits", {}).items()):
        if "soft" not in row or "hard" not in row:
            service.wrong("ulimits." + name, "needs both soft and hard")
        else:
            found.append("%s:%s:%s" % (name, row["soft"], row["hard"]))
    service.put("ulimits", found, "ulimits")


def _security(service: Service) -> None:
    """The options; a seccomp profile of the project comes as its text, since its file is not on the host."""
    found = []
    for text in service.said.get("security_opt", ()):
        match = re.match(r"^seccomp[=:](.+)\Z", text)
        if match and not match.group(1).startswith(("/", "{")) and match.group(1) not in ("unconfined", "builtin"):
            path = os.path.normpath(os.path.join(text.place.source.directory, match.group(1)))
            try:
                profile = json.loads(read_text(service.setting.project.read, path, "a seccomp profile"))
                found.append("seccomp=" + json.dumps(profile, sort_keys=True))
            except (ComposeError, ValueError) as error:
                service.findings.wrong(text.place, service.path + ".security_opt", str(error))
        else:
            found.append(str(text))
    service.put("security_opts", found, "security_opt")


def _hostname(service: Service) -> None:
    domain = service.said.get("domainname")
    if domain and "hostname" in service.found:
        service.put("hostname", "%s.%s" % (service.found["hostname"], domain), "domainname")
    elif domain:
        service.unsupported("domainname", "needs a hostname, with which it is put together")


def _update(service: Service) -> None:
    deploy = service.said.get("deploy", {})
    for part, name in (("update_config", "update"), ("rollback_config", "rollback")):
        said = dict(deploy.get(part, {}))
        if name == "rollback" and said.get("failure_action") == "rollback":
            service.wrong("deploy.rollback_config.failure_action", "cannot be 'rollback': that is what failed")
        if "order" in said:
            said["order"] = said["order"].replace("-", "_")
        service.put(name, said, "deploy." + part)


def _replicas(service: Service) -> None:
    deploy = service.said.get("deploy", {})
    mode = deploy.get("mode", "replicated")
    if mode.startswith("global"):
        if service.found.get("replicas", 1) != 1:
            service.wrong("deploy.replicas", "contradicts 'mode: %s', which is one on each host" % mode)
    if mode in _ONE_SHOT:
        service.put("one_shot", True, "deploy.mode")
    if deploy.get("endpoint_mode", "dnsrr") != "dnsrr":
        service.unsupported("deploy.endpoint_mode", "'%s' is not there: a service's name leads to all its replicas (dnsrr)"
                            % deploy["endpoint_mode"])
    name = service.said.get("container_name")
    if name and service.found.get("replicas", 1) > 1:
        service.wrong("container_name", "cannot be the name of %d replicas" % service.found["replicas"])
    elif name:
        service.put("container_name", name, "container_name")


STEPS: Tuple[Callable[[Service], None], ...] = (
    _environment, _hooks, _labels, _image, _restart, _health, _log, _cgroup, _memory, _block_devices, _devices, _ulimits, _security,
    _hostname, _update, _replicas)
"""What is done to a service, in order."""

# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of the options of community.docker and containers.podman here, and the page that says so.

    scripts/migration.py FOLDER    reads the names of their options out of the collections in a folder (ansible_collections/)

C(peers.json) has the names that their options have, and nothing else of theirs. An option that has a name here that it has
there means the same; what has another name here, and what there is not, is listed below.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Sequence, Set, Tuple, Union

HERE = Path(__file__).resolve().parent
NAMES = HERE / "peers.json"
PEERS = ("community.docker", "containers.podman")


class To(NamedTuple):
    """An option that does it here, with what to know."""

    option: str
    note: str = ""


Fate = Union[To, str]
"""Where an option has gone; or, as text, why there is none."""

NO_DAEMON = "there is no daemon to be reached"
NO_PROGRAM = "no program is called"
QUADLET = "no unit files are written: containers come back after a reboot by their `restart_policy`"
NO_PODS = "there are no pods: `network_mode: container:NAME`, `ipc_mode` and `pid_mode` share namespaces"
TAG = To("name", "the tag is part of the name")
DIFF = "use Ansible's `--diff` and `-v`"

DAEMON: Dict[str, Fate] = dict.fromkeys(
    (
        "docker_host",
        "tls_hostname",
        "api_version",
        "timeout",
        "ca_path",
        "client_cert",
        "client_key",
        "tls",
        "use_ssh_client",
        "validate_certs",
        "debug",
    ),
    NO_DAEMON,
)
PROGRAM: Dict[str, Fate] = {
    "executable": NO_PROGRAM,
    "debug": DIFF,
    **dict.fromkeys(("quadlet_dir", "quadlet_filename", "quadlet_file_mode", "quadlet_options"), QUADLET),
}

_IO = To("io_limits", "one list for all four")
_ENV_FILE = To("env", "read on the controller: `lookup('file', ...)`, or a stack's `env_file`")
_TTY = "a container's program has no terminal; `container_exec` gives one with `tty`"
_EXPOSE = "nothing depends on it: a network's members reach all ports; `published_ports` names those of the host"
_STAYS = "what has ended stays, with its log, until `state: absent` or `container_prune`"
_HEALTH_STARTUP = "one health check serves both: `healthcheck` with `start_period` and `start_interval`"
_COMPARISON = To("comparisons", "by option, `image` among them")

CONTAINER: Dict[str, Fate] = {
    "auto_remove": _STAYS,
    "blkio_weight": To("io_weight", "from 1 to 10000, 100 by default"),
    "cpu_shares": To("cpu_weight", "from 1 to 10000, 100 by default, where theirs has 1024"),
    "device_read_bps": _IO,
    "device_read_iops": _IO,
    "device_write_bps": _IO,
    "device_write_iops": _IO,
    "env_file": _ENV_FILE,
    "interactive": _TTY,
    "tty": _TTY,
    "kernel_memory": "the kernel has given this limit up",
    "mac_address": To("networks", "`mac_address` of an entry"),
    "memory_reservation": To("memory_low"),
    "tmpfs": To("mounts", "`type: tmpfs`"),
    "volumes_from": "name the volumes in `mounts` or `volumes`",
}
DOCKER: Dict[str, Fate] = {
    "cleanup": _STAYS,
    "container_default_behavior": "there is one behaviour: what is not said is not changed",
    "command_handling": "`command` is a list",
    "default_host_ip": To("published_ports", "an address in each entry"),
    "device_requests": To("devices", "name the devices; no runtime hook is asked"),
    "domainname": To("hostname", "the whole name"),
    "exposed_ports": _EXPOSE,
    "force_kill": To("state", "`killed`"),
    "kill_signal": To("stop_signal"),
    "image_comparison": _COMPARISON,
    "image_name_mismatch": _COMPARISON,
    "image_label_mismatch": "an image's labels never make a difference",
    "links": To("networks", "members find one another by name; `aliases` of an entry"),
    "networks_cli_compatible": "`networks` are all that there are, the first one first",
    "oom_killer": To("memory_oom_kill"),
    "output_logs": To("detach", "with `detach: false`, `stdout` and `stderr` of the result"),
    "paused": To("state", "`paused`"),
    "publish_all_ports": _EXPOSE,
    "pull_check_mode_behavior": "check mode always says what a pull would bring",
    "removal_wait_timeout": "a removal is over when the task is",
    "restart": To("state", "`restarted`"),
    "restart_retries": To("restart_policy", "`on-failure:N`"),
    "storage_opts": "a container's own layer has no size; `container_volume` has `size`",
    "volume_driver": To("volumes", "made by `container_volume` with `driver`"),
}
PODMAN: Dict[str, Fate] = {
    "annotation": To("labels"),
    "arch": To("platform"),
    "os": To("platform"),
    "variant": To("platform"),
    "attach": To("detach", "`false`"),
    "authfile": To("registry", "`auth_file` there"),
    "tls_verify": To("registry", "`validate_certs` there"),
    "blkio_weight_device": To("io_device_weights"),
    "cgroup_conf": To("unified"),
    "cgroupns": To("cgroupns_mode"),
    "cgroups": "every container has its cgroup",
    "chrootdirs": "mount what belongs there by `mounts`",
    "cidfile": "the result has the ID",
    "pod_id_file": NO_PODS,
    "pid_file": "the result has the process ID",
    "conmon_pidfile": "there is no conmon",
    "cmd_args": "there is no command line to add to",
    "decryption_key": "encrypted layers are not supported",
    "delete_depend": "nothing else is removed with a container",
    "delete_time": To("stop_timeout"),
    "delete_volumes": To("keep_volumes"),
    "detach_keys": _TTY,
    "device": To("devices"),
    "device_cgroup_rule": To("device_cgroup_rules"),
    "env_host": "the host's environment stays the host's",
    "http_proxy": To("env", "name the proxies"),
    "unsetenv": To("env", "an empty value"),
    "env_merge": To("env", "the image's is always merged"),
    "unsetenv_all": "the image's environment is always merged",
    "expose": _EXPOSE,
    "publish_all": _EXPOSE,
    "force_restart": To("state", "`restarted`"),
    "force_delete": "a container is removed whether it runs or not",
    "generate_systemd": QUADLET,
    "gpus": To("devices", "name the devices"),
    "group_entry": "the image's files are not edited",
    "passwd": "the image's files are not edited",
    "passwd_entry": "the image's files are not edited",
    "hostuser": "the image's files are not edited",
    "healthcheck_interval": To("healthcheck", "`interval`"),
    "healthcheck_retries": To("healthcheck", "`retries`"),
    "healthcheck_start_period": To("healthcheck", "`start_period`"),
    "healthcheck_timeout": To("healthcheck", "`timeout`"),
    "healthcheck_failure_action": To("healthcheck", "`on_failure`"),
    "no_healthcheck": To("healthcheck", "`test: [NONE]`"),
    **dict.fromkeys(
        ("health_startup_cmd", "health_startup_interval", "health_startup_retries", "health_startup_success", "health_startup_timeout"),
        _HEALTH_STARTUP,
    ),
    "hooks_dir": "hooks are an OCI runtime's business: `coracle create` runs those of a bundle",
    "image_volume": "name volumes in `volumes` or `mounts`",
    "image_strict": _COMPARISON,
    "init_ctr": NO_PODS,
    "pod": NO_PODS,
    "init_path": "the init is this engine's own",
    "ip": To("networks", "`ipv4_address` of an entry"),
    "ip6": To("networks", "`ipv6_address` of an entry"),
    "network_aliases": To("networks", "`aliases` of an entry"),
    "label_file": To("labels", "read on the controller"),
    "log_level": "use Ansible's `-v`",
    "no_hosts": "names of members are always in the hosts file",
    "oom_kill_disable": To("memory_oom_kill"),
    "personality": "not offered; the OCI runtime `coracle` knows it",
    "preserve_fd": "no descriptor of the task is handed on",
    "preserve_fds": "no descriptor of the task is handed on",
    "rdt_class": "cache allocation is not offered",
    "read_only_tmpfs": To("mounts", "`type: tmpfs`, where they are wanted"),
    "requires": "the order of the tasks; in a stack, `depends_on`",
    "restart_time": To("stop_timeout"),
    "stop_time": To("stop_timeout"),
    "retry": "a pull is always tried up to six times",
    "retry_delay": "a pull is always tried up to six times, with growing pauses",
    "rm": _STAYS,
    "rmi": "remove images by `container_image` or `container_prune`",
    "rootfs": "make an image of it: `container_image` with `source_type: rootfs`",
    "sdnotify": "no unit of systemd is waiting",
    "secrets": To("mounts", "of a file on the host"),
    "seccomp_policy": To("security_opts", "`seccomp=FILE`"),
    "security_opt": To("security_opts"),
    "shm_size_systemd": To("mounts", "a tmpfs at /run"),
    "sig_proxy": "nothing is attached",
    "subgidname": To("gidmap"),
    "subuidname": To("uidmap"),
    "sysctl": To("sysctls"),
    "systemd": To("mounts", "tmpfs at /run and /tmp, and `stop_signal: SIGRTMIN+3`"),
    "timeout": "stop it by a task, or the program by `timeout`",
    "timezone": To("env", "`TZ`"),
    "umask": "the program's own business",
}
IMAGE: Dict[str, Fate] = {
    "build": "images are not built here; build them where they are pushed from, `state: loaded` or `pull` brings them",
    "tag": TAG,
    "archive_path": To("dest", "`state: saved`"),
    "load_path": To("source"),
    "force_source": To("pull", "`always`, or `newer`"),
    "force_absent": To("state", "`absent`; what a container uses stays"),
    "force_tag": To("state", "`tagged` moves the name"),
    "push": To("state", "`pushed`"),
    "repository": To("tags", "with `state: tagged`; for a push `destination`"),
    "path": To("source"),
    "force": "what is there already and is the same is not done again",
    "existing_images": To("state", "`tagged` moves the name"),
    "prune": "layers that nothing needs always go",
    "arch": To("platform"),
    "ca_cert_dir": To("ca_path"),
    "pull_extra_args": "there is no command line to add to",
    "push_args": To("compression", "and `destination`"),
    "input": To("source"),
    "image": To("name"),
    "compress": To("compression"),
    "format": To("dest_type"),
    "multi_image_archive": To("images", "with `dest_type: docker-archive`"),
    "target_names": To("tags"),
    "src": To("source"),
    "commit_message": "an imported image has no history",
    "change": To("cmd", "`entrypoint`, `env` and the like are options of their own"),
    "volume": "nothing is mounted for it",
    "container": To("name", "by `container_layer`, which turns what a container wrote into a layer"),
}
NETWORK: Dict[str, Fate] = {
    "config_from": "say it in `module_defaults` or a variable",
    "config_only": "say it in `module_defaults` or a variable",
    "connected": "who is in a network is said by `networks` of `container_run`",
    "appends": "who is in a network is said by `networks` of `container_run`",
    "enable_ipv4": "a network has the families of its `subnets`",
    "ingress": "there is no swarm",
    "scope": "`driver: vxlan` makes one network over several hosts",
    "attachable": "every network is",
    "ipam_driver": "addresses are this engine's own business, or `static_leases`",
    "ipam_driver_options": "addresses are this engine's own business, or `static_leases`",
    "disable_dns": "members always find one another by name",
    "dns": "a network has no resolvers of its own; `dns_servers` of `container_run`",
    "interface_name": To("bridge"),
    "macvlan": To("driver", "`macvlan`"),
    "route": To("peers", "routes to other hosts; or `cluster_ranges`"),
    "recreate": "a network is replaced where its options need it",
}
PRUNE: Dict[str, Fate] = {
    **dict.fromkeys(
        ("networks", "networks_filters", "network", "network_filters"),
        "networks are few and declared: `container_network` with `state: absent`",
    ),
    **dict.fromkeys(
        ("volumes", "volumes_filters", "volume", "volume_filters"),
        "volumes hold data: `container_volume` with `state: absent` removes one by its name",
    ),
    **dict.fromkeys(
        ("builder_cache", "builder_cache_all", "builder_cache_filters", "builder_cache_keep_storage"), "images are not built here"
    ),
    "container": To("containers"),
    "container_filters": To("containers_filters"),
    "image": To("images"),
    "image_filters": To("images_filters"),
    "system": To("containers", "with `images` and `parts`"),
    "system_all": To("images_filters", "`dangling: false`"),
    "system_volumes": "volumes hold data: `container_volume` with `state: absent` removes one by its name",
}
HOST_INFO: Dict[str, Fate] = dict.fromkeys(
    (
        "containers",
        "containers_all",
        "containers_filters",
        "images",
        "images_filters",
        "networks",
        "networks_filters",
        "volumes",
        "volumes_filters",
        "disk_usage",
        "verbose_output",
    ),
    "`container_info`, `container_image_info`, `container_network_info` and `container_volume_info` tell",
)

MODULES: Dict[str, Tuple[str, Dict[str, Fate]]] = {
    "community.docker.docker_container": ("container_run", {**CONTAINER, **DOCKER}),
    "community.docker.docker_container_info": ("container_info", {}),
    "community.docker.docker_container_exec": ("container_exec", {}),
    "community.docker.docker_image_info": ("container_image_info", {}),
    "community.docker.docker_login": ("container_login", {}),
    "community.docker.docker_network": ("container_network", NETWORK),
    "community.docker.docker_network_info": ("container_network_info", {}),
    "community.docker.docker_volume": ("container_volume", {}),
    "community.docker.docker_volume_info": ("container_volume_info", {}),
    "community.docker.docker_prune": ("container_prune", PRUNE),
    "community.docker.docker_host_info": ("container_host_info", HOST_INFO),
    "community.docker.docker_image_export": ("container_image", {**IMAGE, "path": To("dest", "`state: saved`")}),
    **{
        "community.docker." + name: ("container_image", IMAGE)
        for name in (
            "docker_image",
            "docker_image_pull",
            "docker_image_push",
            "docker_image_load",
            "docker_image_tag",
            "docker_image_remove",
        )
    },
    "containers.podman.podman_container": ("container_run", {**CONTAINER, **PODMAN}),
    "containers.podman.podman_container_info": ("container_info", {}),
    "containers.podman.podman_container_exec": ("container_exec", {}),
    "containers.podman.podman_image_info": ("container_image_info", {}),
    "containers.podman.podman_login": (
        "container_login",
        {"certdir": To("ca_path", "and `client_cert`, `client_key`"), "secret": "say it as `password`, from a vault"},
    ),
    "containers.podman.podman_logout": (
        "container_login",
        {"all": "say which registry", "ignore_docker_credentials": To("store", "one file at a time")},
    ),
    "containers.podman.podman_network": ("container_network", NETWORK),
    "containers.podman.podman_network_info": ("container_network_info", {}),
    "containers.podman.podman_volume": ("container_volume", {}),
    "containers.podman.podman_volume_info": ("container_volume_info", {}),
    "containers.podman.podman_prune": ("container_prune", PRUNE),
    "containers.podman.podman_system_info": ("container_host_info", {}),
    **{
        "containers.podman." + name: ("container_image", {**IMAGE, **more})
        for name, more in (("podman_image", {}), ("podman_load", {}), ("podman_tag", {}), ("podman_import", {}))
    },
    "containers.podman.podman_save": ("container_image", {**IMAGE, "image": To("name")}),
}


def _module(name: str, otherwise: str) -> str:
    """A module that may not be there yet."""
    return "`%s`" % name if (HERE.parent / "plugins/modules" / (name + ".py")).exists() else otherwise


_COPY = _module("container_copy", "mount what belongs there by `mounts`")
_SECRET = _module("container_secret", "`ansible.builtin.copy` to the host, and `mounts`")
ELSEWHERE: Dict[str, str] = {
    **dict.fromkeys(
        (*("community.docker.docker_compose_v2" + end for end in ("", "_pull")), "containers.podman.podman_play"),
        "`container_stack`, which reads Compose files on the controller",
    ),
    "community.docker.docker_compose_v2_exec": "`container_exec`",
    "community.docker.docker_compose_v2_run": "`container_run` with `detach: false`",
    "community.docker.docker_container_copy_into": _COPY,
    "containers.podman.podman_container_copy": _COPY,
    "containers.podman.podman_containers": "`container_stack`, or `container_run` in a loop",
    "containers.podman.podman_export": "`container_layer` turns what a container wrote into a layer",
    **dict.fromkeys(
        (
            "community.docker.docker_secret",
            "community.docker.docker_config",
            "containers.podman.podman_secret",
            "containers.podman.podman_secret_info",
        ),
        _SECRET,
    ),
    "community.docker.docker_image_build": IMAGE["build"],  # type: ignore[dict-item]
    **{
        "community.docker."
        + name: "there is no swarm: Ansible is what acts on many hosts; `driver: vxlan` of `container_network` joins them"
        for name in (
            "docker_node",
            "docker_node_info",
            "docker_stack",
            "docker_stack_info",
            "docker_stack_task_info",
            "docker_swarm",
            "docker_swarm_info",
            "docker_swarm_service",
            "docker_swarm_service_info",
        )
    },
    **dict.fromkeys(("community.docker.docker_context_info", "community.docker.docker_plugin"), NO_DAEMON),
    "community.docker.current_container_facts": "it looks at the container that Ansible itself runs in, of whatever engine; go on using it",
    "containers.podman.podman_generate_systemd": QUADLET,
    "containers.podman.podman_runlabel": "what an image's labels say is never run on the host",
    **dict.fromkeys(("containers.podman.podman_pod", "containers.podman.podman_pod_info"), NO_PODS),
    "containers.podman.podman_login_info": "`container_login` in check mode: its result's `login`",
    "containers.podman.podman_search": "registries have no common search; `container_image_info` lists tags with `registry_tags`",
    **dict.fromkeys(("containers.podman.podman_system_connection", "containers.podman.podman_system_connection_info"), NO_DAEMON),
}
HEAD = """
<!--
Copyright (c) 2026, Coracle contributors
GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
SPDX-License-Identifier: GPL-3.0-or-later
-->
<!-- Written by scripts/generate.py from scripts/migration.py. -->
# Coming from community.docker or containers.podman

What becomes of every module of theirs, and of every option of those that have a counterpart here. Options with the same name, or
one of its other names, mean the same, as far as both have the same values; `ansible-doc` tells which each takes, and
[the page of all options](options.md) what a change of it costs.
"""


def names() -> Dict[str, Dict[str, List[str]]]:
    """Their options by module, with the other names of each."""
    found: Dict[str, Dict[str, List[str]]] = json.loads(NAMES.read_text(encoding="utf-8"))["modules"]
    return found


def fates(module: str, own: Set[str]) -> Iterator[Tuple[str, Fate]]:
    """Where each option of a module of theirs has gone.

    Args:
        own: The names of the options here.

    Raises:
        KeyError: Nothing says so.
    """
    listed = MODULES[module][1]
    for option, others in names()[module].items():
        same = next((name for name in (option, *others) if name in own), None)
        common = PROGRAM if module.startswith(PEERS[1]) else DAEMON
        if option in common:
            yield option, common[option] if option != "debug" else DIFF
        elif same is not None:
            yield option, To(same)
        elif option in listed:
            yield option, listed[option]
        else:
            raise KeyError("%s: %s: scripts/migration.py says neither what it is here nor why it is not" % (module, option))


def page(table: Callable[[str], Sequence[Any]]) -> str:
    """The page."""
    lines = [HEAD.strip("\n")]
    for module in sorted({*MODULES, *ELSEWHERE}, key=lambda name: (PEERS.index(name.rpartition(".")[0]), name)):
        lines += ["", "## %s" % module, ""]
        if module in ELSEWHERE:
            lines.append("%s." % (ELSEWHERE[module][:1].upper() + ELSEWHERE[module][1:]))
            continue
        here = MODULES[module][0]
        own = {name for option in table(here) for name in (option.name, *option.aliases)}
        found = list(fates(module, own))
        lines.append("`%s`." % here)
        same = [option for option, fate in found if isinstance(fate, To) and fate == To(option)]
        if same:
            lines += ["", "By the same name: %s." % ", ".join("`%s`" % option for option in same)]
        rest = [(option, fate) for option, fate in found if option not in same]
        if rest:
            lines += ["", "| there | here | |", "|---|---|---|"]
        for option, fate in rest:
            lines.append(
                "| `%s` | %s | %s |" % ((option, "`%s`" % fate.option, fate.note) if isinstance(fate, To) else (option, "–", fate))
            )
    return "\n".join(lines) + "\n"


# Reading their names


def collect(folder: Path) -> Dict[str, Any]:
    """The names of all options of both collections."""
    versions, modules = {}, {}
    for peer in PEERS:
        root = folder / "ansible_collections" / peer.replace(".", "/")
        versions[peer] = json.loads((root / "MANIFEST.json").read_text(encoding="utf-8"))["collection_info"]["version"]
        for path in sorted((root / "plugins/modules").glob("[a-z]*.py")):
            modules["%s.%s" % (peer, path.stem)] = _options(path, peer, root)
    return {"versions": versions, "modules": modules}


def _options(path: Path, peer: str, root: Path) -> Dict[str, List[str]]:
    doc = _block(path, "DOCUMENTATION")
    options = dict(doc.get("options") or {})
    fragments = doc.get("extends_documentation_fragment") or []
    for fragment in [fragments] if isinstance(fragments, str) else fragments:
        if fragment.startswith(peer + "."):
            name, _dot, part = fragment[len(peer) + 1 :].partition(".")
            more = _block(root / "plugins/doc_fragments" / (name + ".py"), part.upper() or "DOCUMENTATION").get("options") or {}
            options = {**more, **options}
    return {name: list((entry or {}).get("aliases") or []) for name, entry in options.items()}


def _block(path: Path, name: str) -> Dict[str, Any]:
    import yaml

    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return dict(yaml.safe_load(ast.literal_eval(node.value)))
    return {}


if __name__ == "__main__":
    NAMES.write_text(json.dumps(collect(Path(sys.argv[1])), indent=1, sort_keys=True) + "\n", encoding="utf-8")

# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of the modules and options of community.docker and containers.podman here.

An option that has a name here that it has there means the same, and is not listed; what is listed has another name here, or other
values, or there is none, with the reason. C(migration.py) makes the page of it.
"""

from __future__ import annotations

from typing import Dict, NamedTuple, Tuple, Union


class To(NamedTuple):
    """An option that does it here, with what to know."""

    option: str
    note: str = ""


PEERS = ("community.docker", "containers.podman")
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
_EXPOSE = "nothing depends on it: a network's members reach all ports; `published_ports` names those of the host"
_STAYS = "what has ended stays, with its log, until `state: absent` or `container_prune`"
_HEALTH_STARTUP = "one health check serves both: `healthcheck` with `start_period` and `start_interval`"
_PLATFORM = To("platform", "`OS/ARCH/VARIANT`")
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
    "kernel_memory": "the kernel has given this limit up",
    "mac_address": To("networks", "`mac_address` of an entry"),
    "memory_swap": To("memory_swap_max", "the swap alone, where theirs is memory and swap together"),
    "state": To("state", "their `present` is `created`"),
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
    "kill_signal": To("stop_signal", "`state: killed` sends SIGKILL"),
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
    "arch": _PLATFORM,
    "os": _PLATFORM,
    "variant": _PLATFORM,
    "attach": To("detach", "`false`"),
    "authfile": To("registry", "`auth_file` there"),
    "tls_verify": To("registry", "`validate_certs` there"),
    "blkio_weight_device": To("io_device_weights", "a list of `device` and `weight`"),
    "cgroups": "every container has its cgroup",
    "chrootdirs": "mount what belongs there by `mounts`",
    "cidfile": "the result has the ID",
    "pod_id_file": NO_PODS,
    "pid_file": "the result has the process ID",
    "conmon_pidfile": "there is no conmon",
    "cmd_args": "there is no command line to add to",
    "decryption_key": "encrypted layers are not supported",
    "delete_depend": "nothing else is removed with a container",
    "delete_time": To("stop_timeout", "one time for both"),
    "delete_volumes": To("keep_volumes", "the opposite"),
    "detach_keys": "nobody attaches to a container; `container_exec` gives a terminal with `tty`",
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
    "healthcheck": To("healthcheck", "`test`, or `http` or `tcp`"),
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
    "log_opt": To("log_options", "`max_size` is `log_max_size`; there is no `path`, `coracle logs` reads them"),
    "mount": To("mounts", "a mapping for each"),
    "network": To("network_mode", "one; several as `networks`"),
    "no_hosts": "names of members are always in the hosts file",
    "oom_kill_disable": To("memory_oom_kill"),
    "personality": "not offered; the OCI runtime `coracle` knows it",
    "preserve_fd": "no descriptor of the task is handed on",
    "preserve_fds": "no descriptor of the task is handed on",
    "rdt_class": "cache allocation is not offered",
    "read_only_tmpfs": To("mounts", "`type: tmpfs`, where they are wanted"),
    "restart_time": To("stop_timeout", "one time for both"),
    "retry": "a pull is always tried up to six times",
    "retry_delay": "a pull is always tried up to six times, with growing pauses",
    "rm": _STAYS,
    "rmi": "remove images by `container_image` or `container_prune`",
    "rootfs": "make an image of it: `container_image` with `source_type: rootfs`",
    "secrets": To("secrets", "a mapping for each, with `source`, `target`, `uid`, `gid` and `mode`"),
    "seccomp_policy": To("security_opts", "`seccomp=FILE`"),
    "shm_size_systemd": To("mounts", "a tmpfs at /run"),
    "sig_proxy": "nothing is attached",
    "subgidname": To("gidmap"),
    "subuidname": To("uidmap"),
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
    "arch": _PLATFORM,
    "ca_cert_dir": To("ca_path"),
    "pull_extra_args": "there is no command line to add to",
    "push_args": To("compression", "and `destination`"),
    "input": To("source"),
    "image": To("name"),
    "compress": To("compression"),
    "format": To("dest_type"),
    "multi_image_archive": To("images", "with `dest_type: docker-archive`"),
    "src": To("source"),
    "commit_message": "an imported image has no history",
    "change": To("cmd", "`entrypoint`, `env` and the like are options of their own"),
    "volume": "nothing is mounted for it",
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
_WITHOUT = "`label!` is `without_labels`"
PRUNE: Dict[str, Fate] = {
    **dict.fromkeys(
        ("builder_cache", "builder_cache_all", "builder_cache_filters", "builder_cache_keep_storage"), "images are not built here"
    ),
    "containers_filters": To("containers_filters", _WITHOUT),
    "container_filters": To("containers_filters", _WITHOUT),
    "images_filters": To("images_filters", _WITHOUT),
    "image_filters": To("images_filters", _WITHOUT),
    "networks_filters": To("networks_filters", _WITHOUT),
    "network_filters": To("networks_filters", _WITHOUT),
    "volumes_filters": To("volumes_filters", _WITHOUT),
    "volume_filters": To("volumes_filters", _WITHOUT),
    "system": To("containers", "with `images` and `networks`, and `parts` and `layers` for what else lies about"),
    "system_all": To("images_filters", "`dangling: false`"),
    "system_volumes": To("volumes"),
}
HOST_INFO: Dict[str, Fate] = {
    **dict.fromkeys(("containers", "containers_all", "containers_filters"), "`container_info` tells"),
    **dict.fromkeys(("images", "images_filters"), "`container_image_info` tells"),
    **dict.fromkeys(("networks", "networks_filters"), "`container_network_info` tells"),
    **dict.fromkeys(("volumes", "volumes_filters"), "`container_volume_info` tells"),
    "verbose_output": "all is told",
}
COPY: Dict[str, Fate] = {
    "archive": To("owner", "and `group`; without them what is there keeps its owner"),
    "dest": To("container_path", "with `from_container` it is `path`"),
    "mode": To("mode", "in quotes"),
    "mode_parse": "`mode` is text in quotes, read as octal",
    "overwrite": "a file never takes the place of a folder, nor the other way round",
    "src": To("path", "on the managed host, and with `from_container` it is `container_path`; `src` is a file of the controller"),
}
SECRET: Dict[str, Fate] = {
    "data": To("data"),
    "driver": "secrets are in memory only, never on a disk",
    "driver_opts": "secrets are in memory only, never on a disk",
    "env": "a secret in the environment is seen by whoever sees the process: `lookup('env', ...)` in `data` reads one of the controller",
    "force": To("state", "a changed secret is always replaced, under the same name; `force` is to remove one that is in use"),
    "labels": "a secret has none",
    "rolling_versions": "a secret keeps its name; `on_change` of `secrets` says what becomes of who has it",
    "skip_existing": "a secret that is the same is left as it is",
    "template_driver": "a template is rendered by Ansible: `container_copy` with `template`",
    "versions_to_keep": "there is one version",
}
_STACK_FILES: Dict[str, Fate] = {
    "check_files_existing": "a file that is not there is an error",
    "cli_context": NO_DAEMON,
    "docker_cli": NO_PROGRAM,
    "project_name": To("name"),
}
STACK: Dict[str, Fate] = {
    **_STACK_FILES,
    "assume_yes": "nothing is asked",
    "build": "images are not built here",
    "dependencies": To("services", "those that they need come with them"),
    "ignore_build_events": "images are not built here",
    "ignore_buildable": "images are not built here",
    "include_deps": To("services", "those that they need come with them"),
    "policy": To("state", "`pulled`, with `pull`"),
    "recreate": To("recreate", "`true` for `always`; what has changed is always replaced"),
    "remove_images": "remove images by `container_image` or `container_prune`",
    "remove_orphans": To("prune"),
    "remove_volumes": To("keep_volumes", "the opposite"),
    "renew_anon_volumes": "what lies in volumes is never lost unasked; `container_prune` removes those without a name",
    "scale": To("definition", "`deploy.replicas` or `scale` of a service there"),
    "timeout": To("definition", "`stop_grace_period` of a service there"),
    "wait": To("wait", "`healthy`"),
}
_OF_PROJECT = To("container", "containers are called STACK-SERVICE-NUMBER")
STACK_EXEC: Dict[str, Fate] = {
    **dict.fromkeys(("check_files_existing", "definition", "env_files", "files", "profiles", "project_src"), "the container is named"),
    "cli_context": NO_DAEMON,
    "docker_cli": NO_PROGRAM,
    **dict.fromkeys(("index", "project_name", "service"), _OF_PROJECT),
}
_BY_STACK = "say it all here, or `one_shot: true` of a service in `container_stack`"
STACK_RUN: Dict[str, Fate] = {
    **dict.fromkeys(
        ("check_files_existing", "definition", "env_files", "files", "no_deps", "profiles", "project_name", "project_src", "service"),
        _BY_STACK,
    ),
    "argv": To("command"),
    "build": "images are not built here",
    "chdir": To("working_dir"),
    "cleanup": _STAYS,
    "cli_context": NO_DAEMON,
    "command": To("command", "a list"),
    "docker_cli": NO_PROGRAM,
    "quiet_pull": "a pull says nothing but its result",
    "remove_orphans": "`container_stack` with `prune` removes them",
    "service_ports": To("published_ports", "name those that are wanted"),
    "stdin": "a container's program has no input; `container_exec` has `stdin`",
    "stdin_add_newline": "a container's program has no input; `container_exec` has `stdin`",
    "strip_empty_ends": "`stdout` and `stderr` of the result are what was written",
    "use_aliases": To("networks", "`aliases` of an entry"),
}
EXPORT: Dict[str, Fate] = {
    "container": To("upper", "the folder that a container writes to, with `state: diff`"),
    "force": "the file is written anew if it is another",
    "volume": "a volume is saved by `container_volume` with `backup`",
}

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
    "community.docker.docker_compose_v2": ("container_stack", STACK),
    "community.docker.docker_compose_v2_exec": ("container_exec", STACK_EXEC),
    "community.docker.docker_compose_v2_pull": ("container_stack", STACK),
    "community.docker.docker_compose_v2_run": ("container_run", STACK_RUN),
    "community.docker.docker_config": ("container_secret", SECRET),
    "community.docker.docker_secret": ("container_secret", SECRET),
    "community.docker.docker_container_copy_into": ("container_copy", COPY),
    "community.docker.docker_prune": ("container_prune", PRUNE),
    "community.docker.docker_host_info": ("container_host_info", HOST_INFO),
    "community.docker.docker_image": (
        "container_image",
        {**IMAGE, "source": To("state", "and `pull`; `source` is a file"), "pull": To("platform", "`platform` there")},
    ),
    "community.docker.docker_image_export": ("container_image", {**IMAGE, "path": To("dest", "`state: saved`")}),
    **{
        "community.docker." + name: ("container_image", IMAGE)
        for name in (
            "docker_image_pull",
            "docker_image_push",
            "docker_image_load",
            "docker_image_tag",
            "docker_image_remove",
        )
    },
    "containers.podman.podman_container": ("container_run", {**CONTAINER, **PODMAN}),
    "containers.podman.podman_container_info": ("container_info", {}),
    "containers.podman.podman_container_copy": ("container_copy", COPY),
    "containers.podman.podman_container_exec": ("container_exec", {}),
    "containers.podman.podman_export": ("container_layer", EXPORT),
    "containers.podman.podman_secret": ("container_secret", SECRET),
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
        for name, more in (
            ("podman_image", {"pull": To("pull", "`missing` and `never` for true and false")}),
            ("podman_load", {}),
            ("podman_tag", {}),
            ("podman_import", {}),
        )
    },
    "containers.podman.podman_save": ("container_image", {**IMAGE, "image": To("name")}),
}
ELSEWHERE: Dict[str, str] = {
    "containers.podman.podman_play": "`container_stack`; what Kubernetes takes is written in the form of Compose, or as `definition`",
    "containers.podman.podman_containers": "`container_stack`, or `container_run` in a loop",
    "containers.podman.podman_secret_info": "a secret is never told; `container_info` tells who has which",
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

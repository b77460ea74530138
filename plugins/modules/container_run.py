#!/usr/bin/python
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a container."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_run
short_description: Run an OCI container
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Creates, starts, changes, stops and removes a container, with nothing but Python on the managed host.
  - The container is an OCI bundle, executed by the engine's own runtime in new PID, mount, UTS, IPC, network and cgroup
    namespaces. A small monitor stays with it, keeps its output and applies the restart policy.
  - What is true is read from the kernel. A limit, address or port that was changed by hand is seen and mended.
  - Limits, published ports, attachments to networks, names, labels, the restart policy and log rotation are changed while
    the container runs. A change of any other option replaces the container; volumes stay.
  - Without O(image) the container must exist, and is only brought to the O(state); no other option is looked at.
    With V(stopped), V(killed) and V(absent) no other option is looked at either, unless there is no container yet.
options:
  name:
    description:
      - The container's name; letters, digits, V(_), V(.) and V(-), at most 63.
    type: str
    required: true
  state:
    description:
      - V(created) makes it as described, and neither starts nor stops it. One that runs and has to be replaced runs again.
      - V(started) runs it as described; starts it where it has ended.
      - V(healthy) does so too, and waits until its O(healthcheck) finds it healthy, at most for O(healthy_wait_timeout). It is an
        error if it turns unhealthy meanwhile, or ends; the message says what the last probe said.
      - V(stopped) ends it with O(stop_signal); creates it, without starting it, where there is none.
      - V(paused) freezes it, starting it first where it does not run.
      - V(restarted) ends its process and starts it again; what it wrote stays.
      - V(killed) ends it at once with SIGKILL, and no restart policy starts it again; creates it where there is none.
      - V(absent) stops and removes it with all it wrote outside of volumes.
    type: str
    default: started
    choices: [created, started, healthy, stopped, paused, restarted, killed, absent]
  healthy_wait_timeout:
    description:
      - How long O(state=healthy) waits. Its monitor tells the task of each change; nothing is asked for again and again.
    type: str
    default: 300s
  update_order:
    description:
      - How a container that runs is replaced, where an option has changed that cannot be changed live. With this option a replacement
        is gated by the O(healthcheck) of the new container, for at most O(healthy_wait_timeout).
      - With V(start_first), the new one is started beside the old one, without published ports and under no name that others know.
        Once it is healthy, it gets the ports and names in one nftables transaction; connections that there are stay with the old
        one, which is stopped when they have ended, or O(drain_timeout) has. No request is refused or cut meanwhile.
      - With V(stop_first), the old one is stopped before; it runs again if the new one does not become healthy.
      - V(auto) is V(start_first) but where the two would be in each other's way, by a volume or folder that both write to, an
        address that is asked for, or the network of the host or of another container; where others live in the container's
        namespaces; and where there is no health check.
      - A new one that fails is kept, stopped, under the container's name with a V(~), and the error says how to see its output. It
        goes with the next replacement, or with O(state=absent).
      - Without this option the old one is stopped first, and is back if the new one cannot be started.
    type: str
    choices: [auto, stop_first, start_first]
  drain_timeout:
    description:
      - How long connections to a container that has been replaced may last, with O(update_order=start_first).
    type: str
    default: 10s
  comparisons:
    description:
      - How options of a container that exists are compared, by the option's name; V(*) stands for all that are not named.
      - V(strict), as without this option, wants the value of the task. With V(ignore) the container keeps its own. With
        V(allow_more_present), for lists and mappings, it does so as long as that has all that the task has.
      - What it keeps, it keeps also when another option replaces it. With O(recreate=true) nothing is kept.
    type: dict
  detach:
    description:
      - With V(false), a container that the task starts is waited for, and the task returns RV(rc), RV(stdout) and RV(stderr).
      - Only with a O(restart_policy) of V(no).
    type: bool
    default: true
  recreate:
    description:
      - Replace the container even where nothing differs.
    type: bool
    default: false
  force:
    description:
      - Set a O(memory_max) below what the running container uses, instead of refusing that with both figures. In cgroup v2 the
        kernel then kills processes of the container; in v1 it refuses.
    type: bool
    default: false
  keep_volumes:
    description:
      - With V(false) and O(state=absent), those volumes of the container that have no name of their own, such as those that only its
        image declares, are removed with it, unless another container uses them. Volumes with a name stay in any case;
        M(coracle.containers.container_volume) and M(coracle.containers.container_prune) remove them.
    type: bool
    default: true
  image:
    description:
      - Name or ID of an image. What the host's store lacks is pulled from its registry, as O(pull) says; an image can also be
        brought there by M(coracle.containers.container_image).
      - Compared by digest, so that a name that leads to another image now recreates the container.
    type: str
  pull:
    description:
      - When to ask the registry for O(image). V(missing) asks for what the store lacks. V(always) asks each time which digest
        the name has now, which is one request, and pulls where it differs. V(newer) does so too, but is content with the
        present image, and a warning, where the registry does not answer. V(never) does not ask.
      - See the option of the same name of M(coracle.containers.container_image) for mirrors, proxies and resumption.
    type: str
    choices: [missing, always, newer, never]
    default: missing
  platform:
    description:
      - The platform that the image shall be for, such as V(linux/arm64/v8) or V(arm64). When left out it is the host's own.
    type: str
  registry:
    description:
      - How the registry is spoken to. As the options of the same names of M(coracle.containers.container_image).
    type: dict
    suboptions:
      username:
        description:
          - Who to be at the registry that the image's name tells, and at no other.
          - When left out, the logins that other tools have left on the host are used. They are looked for in the file that the
            environment variable E(REGISTRY_AUTH_FILE) names, else in F(auth.json) as Podman and Skopeo write it, then in
            F(~/.docker/config.json), with the credential helpers that these name.
        type: str
      password:
        description:
          - The password, or an access token, for O(registry.username).
        type: str
      auth_file:
        description:
          - Absolute path of the only file of logins that is to be read, written as F(~/.docker/config.json) is.
        type: path
      ca_path:
        description:
          - Absolute path of a file or folder of certificates, in PEM format, that are trusted beside the host's own.
          - Certificates in F(/etc/containers/certs.d/HOST[:PORT]) and F(/etc/docker/certs.d/HOST[:PORT]) are read without being
            named, C(*.crt) as authorities, C(*.cert) and C(*.key) as the host's own certificate.
        type: path
      client_cert:
        description:
          - Absolute path of the host's own certificate, in PEM format, for registries that ask for one.
        type: path
      client_key:
        description:
          - Absolute path of the key of O(registry.client_cert), where it is not in the same file.
        type: path
      validate_certs:
        description:
          - Whether the registry's certificate is checked.
        type: bool
        default: true
      plain_http:
        description:
          - Whether the registry is spoken to by HTTP without TLS. Nothing is encrypted then, the password neither.
        type: bool
        default: false
      timeout:
        description:
          - Seconds without a byte after which a connection is given up, and tried again.
        type: int
        default: 60
  command:
    description:
      - Arguments of the program. Replaces the image's.
    type: list
    elements: str
  entrypoint:
    description:
      - The program and its first arguments. Replaces the image's, and drops the image's command.
    type: list
    elements: str
  env:
    description:
      - Environment variables beside those of the image. Values must be strings, so quote numbers and booleans.
      - In diffs and results the values of variables whose names sound secret, such as V(DB_PASSWORD), are hidden.
    type: dict
  working_dir:
    description:
      - Working directory of the process. Made where it does not exist.
    type: str
    aliases: [workdir]
  user:
    description:
      - User, and with a colon group, by name or number, as whom the process runs. Names are looked up in the image.
    type: str
  groups:
    description:
      - Further groups of the process, by name or number.
    type: list
    aliases: [group_add]
    elements: str
  hostname:
    description:
      - Host name inside. By default the container's name.
    type: str
  runtime:
    description:
      - The OCI runtime that runs the container, by its name or its absolute path; V(coracle), as by default, is the engine's own.
      - It is asked first for its features, and what it cannot do is an error before anything starts. A runtime that cannot tell them is
        asked for no more than version 1.0 of the runtime specification has.
      - V(runc) and V(crun) are tested; V(runsc), V(kata-runtime) and V(nvidia-container-runtime) have the same command line.
    type: str
  init:
    description:
      - Whether a process of the engine is PID 1 inside, which forwards signals and reaps zombies.
      - With another O(runtime) it is the host's C(catatonit), C(docker-init) or C(tini-static), shown at C(/dev/init); without one that is an error
        before anything starts.
    type: bool
    default: false
  labels:
    description:
      - Anything that you want to find the container by. Changed live.
    type: dict
    aliases: [label]
  annotations:
    description:
      - What the configuration of the runtime says of the container, for hooks and for another O(runtime), some of which do by them what no
        option does. The engine itself acts on none.
    type: dict
    aliases: [annotation]
  interactive:
    description:
      - Whether the process has a standard input that stays open, as programs want that end with it; else it is C(/dev/null).
      - Nobody types there, but root can write to the FIFO C(containers/NAME/stdin) of the run root.
    type: bool
    default: false
  tty:
    description:
      - Whether the process has a terminal of its own as its standard input, output and error, as programs want that end without one,
        that colour what they write, or that keep lines back till much has come together. E(TERM) is V(xterm) where it is not set.
      - What is written there is in the log, as standard output. With O(interactive), what is written to the FIFO is typed there.
      - The terminal hangs up if the container's monitor is killed, as those of other engines do; the process then gets V(SIGHUP).
    type: bool
    default: false
  stop_signal:
    description:
      - Signal that asks the process to end, by name or number. By default the image's, else V(SIGTERM). Changed live.
    type: str
  stop_timeout:
    description:
      - How long the process may take to end before it is killed. A bare number is seconds. Changed live.
    type: str
    aliases: [stop_time]
    default: 10s
  restart_policy:
    description:
      - Whether a container that ended by itself is started again, V(no), V(on-failure), V(on-failure:N) with a limit of N
        restarts, V(always) or V(unless-stopped). Pauses of 0.1 seconds, doubled up to a minute, lie between restarts; they begin anew
        after the container has run for ten seconds.
      - It also says what is started when the host is booted. Changed live.
    type: str
    default: 'no'
  depends_on:
    description:
      - Containers that are started before this one, and stopped after it, when the host is booted and shut down and by
        C(coracle start --all) and C(coracle stop --all). Each is V(NAME), which waits for it to run and be ready (O(sdnotify)), or
        V(NAME:healthy), which waits for its health check.
      - It is an order, not a condition. What was to run is started in the end, also where a dependency cannot be had or is not
        healthy within 300 seconds of waiting; the boot then says so and fails.
      - A task acts on its own container alone. Containers that wait for one another in a circle are refused; one that is not
        there (yet) is warned of. Whose namespaces are joined, as with O(network_mode=container:NAME), comes first without
        being named. Changed live.
    type: list
    elements: str
    aliases: [requires]
  sdnotify:
    description:
      - When the container counts as ready, which a task with O(state=started), containers that name it in O(depends_on) and, where
        systemd is process 1, the container's unit wait for. The values are Podman's.
      - V(conmon), as soon as its program runs. V(healthy), when its O(healthcheck) first says so.
      - With V(container) the program says so itself, as sd_notify(3) does. It gets E(NOTIFY_SOCKET), and the container's monitor
        listens there; what it says of its state is passed on to systemd, what it says of processes and descriptors is not.
      - With V(ignore) it is ready as with V(conmon), and systemd is not told of the container at all.
      - A task waits at most for O(healthy_wait_timeout).
    type: str
    choices: [conmon, container, healthy, ignore]
    default: conmon
  activation:
    description:
      - With V(socket) the engine listens on the O(published_ports) itself, and starts the container when somebody first connects. That
        connection is carried to the container as soon as it accepts; later ones reach it as they reach any other.
      - At least one port must be of TCP. Those of UDP and SCTP lead to the container while it runs, and start none.
      - A task with O(state=started) then sees to it that somebody listens. The container's C(status) is V(listening) till it is
        started, and again once it has ended. It has no address and no name in its networks as long as it does not run. Changed live.
    type: str
    choices: [none, socket]
    default: none
  idle_timeout:
    description:
      - With O(activation=socket), for how long nobody may be connected to the container, and nothing be sent by it, before it is
        stopped, to be started again at the next connection. V(0s) lets it run. A connection that comes while it is being
        stopped waits, and is carried to the next run of it. Changed live.
    type: str
    default: 0s
  healthcheck:
    description:
      - How to find out whether the container is at work. What is not said is taken from the image's own check, else the defaults
        are Docker's. Its monitor does it; what it found is RV(container.health). Changed live.
      - The first probe is made after O(healthcheck.interval), or while the start period lasts after
        O(healthcheck.start_interval).
    type: dict
    suboptions:
      test:
        description:
          - A program that is run in the container as its own user, and ends with 0 if all is well. As a string, or as a list that
            begins with V(CMD-SHELL), for F(/bin/sh) in the container; a list that begins with V(CMD) without a shell.
          - V([NONE]) switches the image's check off.
        type: raw
      http:
        description:
          - A page, C(http://ADDRESS[:PORT]/PATH) or C(https://...), that is fetched from within the container's network, without
            any tool in it. A status from 200 to 399 is well. No certificate is checked.
        type: str
      tcp:
        description:
          - A port, or C(ADDRESS:PORT), that takes connections from within the container's network.
        type: str
      interval:
        description:
          - Time between the end of a probe and the next. 30 s unless the image says otherwise.
        type: str
      timeout:
        description:
          - Time after which a probe is ended and counts as failed. 30 s unless the image says otherwise.
        type: str
      retries:
        description:
          - How many probes in a row have to fail until the container is unhealthy. 3 unless the image says otherwise.
        type: int
      start_period:
        description:
          - Time after the start in which failures do not count, unless a probe has succeeded. 0 s unless the image says otherwise.
        type: str
      start_interval:
        description:
          - Time between probes while the start period lasts. 5 s unless the image says otherwise.
        type: str
      on_failure:
        description:
          - What is done when the container turns unhealthy. V(restart) ends it as O(stop_signal) and O(stop_timeout) say and starts
            it again, V(stop) ends it likewise, V(kill) kills it, after which O(restart_policy) decides.
        type: str
        default: none
        choices: [none, restart, stop, kill]
  post_start:
    description:
      - Programs that are run in the container after it has been started, one after another, as those of C(post_start) in Compose files.
        If one fails, the container is stopped, and the task fails.
      - Whoever starts it runs them, be it a task, the boot or the command; a start by O(restart_policy) has none. Changed live, for
        the next start.
    type: list
    elements: dict
    suboptions:
      command:
        description:
          - The program and its arguments.
        type: list
        elements: str
        required: true
      user:
        description:
          - User, and with a colon group, by name or number. By default the container's.
        type: str
      working_dir:
        description:
          - Working directory. By default the container's.
        type: str
        aliases: [workdir]
      env:
        description:
          - Environment variables beside those of the container.
        type: dict
      privileged:
        description:
          - Whether it has all capabilities.
        type: bool
        default: false
      timeout:
        description:
          - How long it may take. Then it is killed, and has failed.
        type: str
        default: 60s
  pre_stop:
    description:
      - Programs that are run in the container before it is stopped or replaced, one after another, as those of C(pre_stop) in Compose files.
        If one fails, the container is not stopped, and the task fails.
      - With O(state=killed) they are not run, nor where the container ends by itself or by its health check, or is idle. When the host
        goes down they are, and one that fails keeps nothing from its end. Changed live.
    type: list
    elements: dict
    suboptions:
      command:
        description:
          - The program and its arguments.
        type: list
        elements: str
        required: true
      user:
        description:
          - User, and with a colon group, by name or number. By default the container's.
        type: str
      working_dir:
        description:
          - Working directory. By default the container's.
        type: str
        aliases: [workdir]
      env:
        description:
          - Environment variables beside those of the container.
        type: dict
      privileged:
        description:
          - Whether it has all capabilities.
        type: bool
        default: false
      timeout:
        description:
          - How long it may take. Then it is killed, and has failed.
        type: str
        default: 60s
  log_driver:
    description:
      - Where its output goes. V(json-file) and V(k8s-file) are a file in Docker's form or in that of Kubernetes and Podman, which
        C(coracle logs) reads; V(journald) the journal by its own protocol, with the fields C(CONTAINER_NAME), C(CONTAINER_ID),
        C(CONTAINER_ID_FULL) and C(CONTAINER_TAG); V(syslog) a syslog daemon, V(none) nowhere.
      - What a full disk, or a service that is away, does not take is dropped rather than let the container wait. How much it was
        is said in the log as soon as that takes something again. Changed live.
    type: str
    default: json-file
    choices: [json-file, k8s-file, journald, syslog, none]
  log_options:
    description:
      - More about V(journald) and V(syslog). Changed live.
    type: dict
    aliases: [log_opt]
    suboptions:
      tag:
        description:
          - What the messages are called, by default the container's name.
        type: str
      syslog_address:
        description:
          - The daemon, C(unix:///PATH), C(udp://ADDRESS:PORT) or C(tcp://ADDRESS:PORT). By default this host's, F(/dev/log).
            Over the network the form is that of RFC 5424, on this host that of RFC 3164.
        type: str
      facility:
        description:
          - What kind of program syslog is told the messages come from. By default C(daemon).
        type: str
        choices: [kern, user, mail, daemon, auth, syslog, lpr, news, uucp, cron, authpriv, ftp, local0, local1, local2, local3,
                  local4, local5, local6, local7]
  log_max_size:
    description:
      - Size after which the log file is rotated; V(-1) for never. Changed live.
    type: str
    default: 10M
  log_max_files:
    description:
      - How many log files are kept, the current one included. Changed live.
    type: int
    default: 3
  mounts:
    description:
      - What is mounted inside beside the image.
    type: list
    elements: dict
    suboptions:
      type:
        description:
          - V(bind) shows a file or folder of the host, V(volume) a named volume, V(tmpfs) an empty folder in memory.
        type: str
        default: bind
        choices: [bind, tmpfs, volume]
      source:
        description:
          - Absolute path on the host, which must exist, or the volume's name. A volume is made on first use, unless
            M(coracle.containers.container_volume) has declared it. Without a name it gets one from the container's and the target, and
            so does a volume that the image declares where nothing else is mounted.
        type: str
      target:
        description:
          - Absolute path inside. Made where it does not exist.
        type: str
        required: true
      read_only:
        description:
          - Whether it can only be read, including what is mounted below the source.
        type: bool
        default: false
      options:
        description:
          - Further options of the mount.
        type: list
        elements: str
      propagation:
        description:
          - Whether mounts made later on one side appear on the other. By default V(rprivate).
        type: str
        choices: [private, rprivate, slave, rslave, shared, rshared]
      size:
        description:
          - Of a tmpfs, such as V(64M).
        type: str
      mode:
        description:
          - Of a tmpfs, octal, in quotes. By default V('1777').
        type: str
      uid:
        description:
          - User that a tmpfs belongs to, by number. By default 0.
        type: int
      gid:
        description:
          - Group that a tmpfs belongs to, by number. By default 0.
        type: int
      no_copy:
        description:
          - A volume into which nothing was ever put takes what the image has at the target, with owner and mode; with V(true) it stays
            empty.
        type: bool
        default: false
      create_host_path:
        description:
          - Whether the missing source of a bind mount is made when the container starts, as a folder of root's with mode 0755; it stays
            when the container goes. By default a source that is missing is an error.
        type: bool
        default: false
  volumes:
    description:
      - Docker's short form of O(mounts), C(SOURCE:TARGET[:OPTIONS]). An absolute source is a bind mount, any other a volume's
        name; C(TARGET) alone is a volume without a name. Options are V(ro), V(rw), V(nocopy), a propagation, or options of the mount.
    type: list
    aliases: [volume]
    elements: str
  read_only:
    description:
      - Whether the container's root file system can only be read.
    type: bool
    default: false
  shm_size:
    description:
      - Size of F(/dev/shm).
    type: str
    default: 64M
  privileged:
    description:
      - All capabilities, all devices of the host, no system call filter, and no masked or read-only path. A privileged
        container is not contained; give what is needed one by one instead.
    type: bool
    default: false
  capabilities:
    description:
      - Capabilities beside Docker's default set, with or without C(CAP_). V(ALL) gives every one.
    type: list
    elements: str
    aliases: [cap_add]
  cap_drop:
    description:
      - Capabilities taken from the default set. V(ALL) takes all but those in O(capabilities).
    type: list
    elements: str
  secrets:
    description:
      - Secrets that M(coracle.containers.container_secret) keeps, each given to the container as a file of its own, which it can only read.
      - A change of this list makes the container anew. What becomes of it when a secret has another content is said by O(secrets[].on_change).
    type: list
    elements: dict
    suboptions:
      source:
        description: Name of the secret.
        type: str
        required: true
        aliases: [name]
      target:
        description:
          - Name of the file below F(/run/secrets), or its absolute path. By default the secret's name. In F(/run/secrets) a new content takes the
            place of the old one as a whole; elsewhere the file is rewritten.
        type: str
      uid:
        description: Who the file belongs to, by name or number as the container knows it. By default the container's user.
        type: str
        aliases: [owner]
      gid:
        description: Its group, likewise.
        type: str
        aliases: [group]
      mode:
        description: Permission bits, in quotes.
        type: raw
        default: '0400'
      on_change:
        description:
          - What becomes of the container when the secret has another content - V(none), where only the file is replaced, V(restart), or a signal for
            its first process such as V(signal:HUP), after the file is.
        type: str
        default: none
  security_opts:
    description:
      - V(seccomp=unconfined) lifts the default system call filter, which is equal in effect to Docker's. V(seccomp=/PATH)
        puts a profile on the managed host in its place, and V(seccomp=JSON) the profile itself; both in the form that Docker
        and Podman take. A profile that has changed is seen, and replaces the container.
      - V(apparmor=PROFILE) runs the process under a profile that is loaded on the host; V(apparmor=unconfined) under none.
      - V(label=disable), V(label=user:USER), V(label=role:ROLE), V(label=type:TYPE) and V(label=level:LEVEL) are parts of its
        SELinux context. Without any of them it gets none.
      - V(systempaths=unconfined) shows all of F(/proc) and F(/sys); V(unmask=/PATH:/PATH) shows, V(mask=/PATH:/PATH) hides some
        of it. The default list is Docker's.
      - V(no-new-privileges) is the same as O(no_new_privileges=true).
    type: list
    aliases: [security_opt]
    elements: str
  no_new_privileges:
    description:
      - Whether set-user-ID programs and file capabilities give nothing. By default V(true), but V(false) with O(privileged).
    type: bool
  userns_mode:
    description:
      - V(auto) gives the container a user namespace of its own. Root inside is an unprivileged user outside, from a range of
        65536 IDs that no other container has; V(auto:size=N) one of N IDs. The range is taken from those of the user V(coracle),
        else V(containers), in F(/etc/subuid) and F(/etc/subgid), else from 1879048192 on.
      - V(remap:USER) maps all ranges of that user in both files; containers of one user share them.
      - Layers, volumes and bind mounts are mapped by the kernel, and nothing is copied or chowned. A file system that the
        kernel cannot map is an error that names it.
      - V(host) shares the host's, unless there is O(uidmap) or O(gidmap).
    type: str
    aliases: [userns]
    default: host
  uidmap:
    description:
      - The mapping of a user namespace of its own, C(CONTAINER:HOST[:SIZE]), as Podman writes it. ID 0 of the container must be
        among them.
      - Only without O(userns_mode).
    type: list
    elements: str
  gidmap:
    description:
      - The same of groups. By default O(uidmap), and the other way round.
    type: list
    elements: str
  ipc_mode:
    description:
      - V(private) gives an IPC namespace and F(/dev/shm) of its own, V(shareable) one that others may join,
        V(container:NAME) that of another container, V(host) the host's, V(none) one of its own without F(/dev/shm).
    type: str
    aliases: [ipc]
    default: private
  pid_mode:
    description:
      - V(private) gives a PID namespace of its own, V(container:NAME) that of another container, V(host) the host's.
    type: str
    aliases: [pid]
    default: private
  uts:
    description:
      - Whether the host name is its own or the host's.
    type: str
    default: private
    choices: [private, host]
  cgroupns_mode:
    description:
      - Whether it sees its own part of the cgroup hierarchy or all of it. It can change neither.
    type: str
    aliases: [cgroupns]
    default: private
    choices: [private, host]
  cgroup_manager:
    description:
      - Who makes its cgroup. With V(cgroupfs) the engine does, in O(cgroup_root) or O(cgroup_parent); systemd leaves such a group alone.
      - With V(systemd) it is the scope C(coracle-NAME.scope), which systemd starts, so that it is in a slice with its limits, and
        C(systemctl), C(systemd-cgls) and C(systemd-cgtop) tell of it. All limits are told to systemd that it has a property for, and
        changed there. Only where systemd is process 1, and with the engine's own runtime.
      - The default is the same on every host, waits for no other process, and always knows whether the kernel has killed for want of
        memory. systemd removes a scope as soon as its last process has ended, and with it at times what the kernel counted.
    type: str
    default: cgroupfs
    choices: [cgroupfs, systemd]
  cgroup_parent:
    description:
      - The group in which its cgroup lies, and within whose limits it stays. With O(cgroup_manager=cgroupfs) an absolute path below each
        hierarchy, which is made where it is missing and stays when the container goes; by default O(cgroup_root).
      - With O(cgroup_manager=systemd) the name of a slice, which systemd starts where it does not run; by default C(system.slice).
      - M(coracle.containers.container_cgroup) gives either its limits, by O(coracle.containers.container_cgroup#module:path) or
        O(coracle.containers.container_cgroup#module:unit).
    type: str
  devices:
    description:
      - Devices of the host, C(HOST[:CONTAINER[:ACCESS]]), and what may be done with them, some of C(rwm) for reading, writing
        and making nodes. A folder stands for all devices in it. What is missing on the host is an error.
    type: list
    aliases: [device]
    elements: str
  device_cgroup_rules:
    description:
      - Further devices that it may use, which may come later, C(TYPE MAJOR:MINOR ACCESS), such as V(c 189:* rwm).
    type: list
    aliases: [device_cgroup_rule]
    elements: str
  sysctls:
    description:
      - Kernel parameters of the container's own network and IPC namespaces.
    type: dict
    aliases: [sysctl]
  ulimits:
    description:
      - Limits of processes, C(NAME:SOFT[:HARD]), such as V(nofile:1024:4096).
      - A hard limit above what the host allows is an error.
    type: list
    aliases: [ulimit]
    elements: str
  oom_score_adj:
    description:
      - Who is killed first when the whole host is out of memory, from -1000 (never) to 1000.
    type: int
  network_mode:
    description:
      - V(bridge) attaches to the default network, or to O(networks) where given.
      - V(none) gives a namespace with a loopback only, V(host) the host's own, V(container:NAME) that of another container,
        V(ns:PATH) one that somebody else has bound to a file.
      - Anything else is the name of a network to attach to.
    type: str
    aliases: [network, net]
    default: bridge
  networks:
    description:
      - The networks to attach to, the default route through the first that is not internal.
      - Attached and detached while the container runs. A network that nobody has declared is made; see
        M(coracle.containers.container_network).
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - The network's name. V(coracle) is the default network.
        type: str
        required: true
      ipv4_address:
        description:
          - A fixed address. By default the next free one.
        type: str
      ipv6_address:
        description:
          - A fixed IPv6 address. By default the next free one, on a network with IPv6.
        type: str
      mac_address:
        description:
          - A fixed MAC address. By default one made from the IPv4 address.
        type: str
      aliases:
        description:
          - Further names under which others on the network find the container.
        type: list
        elements: str
      interface:
        description:
          - Name of the interface inside. By default V(eth0), V(eth1) and so on, in this order.
        type: str
        aliases: [interface_name]
      bandwidth:
        description:
          - How much the container may receive and send by this interface. Excess packets wait for up to 25 ms, then are dropped.
          - Set at the host's end of the link, where no process of the container reaches it. Needs the kernel's C(sch_tbf), and for what is
            sent C(ifb), C(cls_u32) and C(act_mirred).
        type: dict
        suboptions:
          ingress_rate:
            description: Bits a second that it may receive, such as V(100M); units are powers of 1000.
            type: str
          ingress_burst:
            description: Bytes that may come at once. By default V(32K), or a tenth of a second's worth where that is more.
            type: str
          egress_rate:
            description: Bits a second that it may send.
            type: str
          egress_burst:
            description: Bytes that may go at once. By default as O(networks[].bandwidth.ingress_burst).
            type: str
      vlan:
        description:
          - The VLANs that the container is in, on a network with O(coracle.containers.container_network#module:vlan_filtering).
          - The host, with the gateway, published ports and the resolver of names, is in VLAN 1, as are those of whom nothing is said.
        type: dict
        suboptions:
          pvid:
            description: Id of the VLAN whose frames come and go without a tag. By default V(1); V(0) for none.
            type: int
          tagged:
            description: Ids, or ranges such as V(30-39), of the VLANs whose frames come and go with a tag.
            type: list
            elements: str
  published_ports:
    description:
      - Ports of the host that lead into the container, C([ADDRESS:]HOST:CONTAINER[/PROTOCOL]), as Docker writes them; an
        IPv6 address stands in brackets.
      - Without an address a port is reached by all addresses of the host, C(127.0.0.1) and C([::1]) among them; by IPv6 also where the container
        has none.
      - Changed live.
    type: list
    aliases: [ports, publish, published]
    elements: str
  publish_mode:
    description:
      - With V(nat) the kernel leads published ports to the container, which sees the client's own address. The host's rules of input are not asked.
      - With V(proxy) one process of the host listens at them (one for all containers' ports), so that the host's rules of input decide who gets in,
        and the container sees the host's address. It knows C(tcp) and C(udp).
      - Changed live; connections that there are go on.
    type: str
    choices: [nat, proxy]
    default: nat
  etc_hosts:
    description:
      - Further lines of the hosts file, name to address. V(host-gateway) stands for the host's address on the network.
      - Changed live.
    type: dict
    aliases: [extra_hosts, add_hosts]
  dns_servers:
    description:
      - Name servers. By default the host's, those on the host's loopback included.
      - A container with a bridge network asks the resolver on its bridge, which answers the names of its networks by itself and
        asks these servers for all others. Where one of them is on the container's own loopback, the container asks them itself.
      - Without a network of its own, a container asks these servers itself, and by default the host's.
      - Changed live.
    type: list
    elements: str
    aliases: [dns]
  dns_search_domains:
    description:
      - Search domains of the resolver; a single V(.) for none. Changed live.
    type: list
    elements: str
    aliases: [dns_search]
  dns_opts:
    description:
      - Options of the resolver (see C(man 5 resolv.conf)). V(ndots:0) is added on networks with names, unless it says otherwise, so
        that a name without a dot is first of all a neighbour's. Changed live.
    type: list
    aliases: [dns_options, dns_option]
    elements: str
extends_documentation_fragment:
  - coracle.containers.attributes
  - coracle.containers.instance
  - coracle.containers.policy
  - coracle.containers.limits
seealso:
  - module: coracle.containers.container_image
  - module: coracle.containers.container_cgroup
  - module: coracle.containers.container_netns
"""

EXAMPLES = r"""
- name: Serve the shop on port 80 with at most half a CPU and 256 MiB
  coracle.containers.container_run:
    name: shop
    image: shop:2.1
    published_ports: ["80:8080"]
    cpus: "0.5"
    memory_max: 256M
    restart_policy: unless-stopped
    env:
      DB_HOST: db
      DB_PASSWORD: "{{ vault_db_password }}"
    mounts:
      - type: volume
        source: shop-data
        target: /var/lib/shop

- name: Go on once the shop answers
  coracle.containers.container_run:
    name: shop
    image: shop:2.1
    state: healthy
    healthcheck:
      http: http://localhost:8080/healthy
      interval: 10s
      start_period: 60s
      start_interval: 1s
      on_failure: restart

- name: Bring a new version without a pause
  coracle.containers.container_run:
    name: shop
    image: shop:2.2
    published_ports: ["80:8080"]
    update_order: start_first
    healthcheck:
      http: http://localhost:8080/healthy
      start_period: 60s
      start_interval: 1s

- name: Let the operators decide about memory and labels
  coracle.containers.container_run:
    name: shop
    image: shop:2.1
    comparisons:
      memory_max: ignore
      labels: allow_more_present

- name: See what has been changed by hand, and change nothing
  coracle.containers.container_run:
    name: shop
    image: shop:2.1
  check_mode: true
  diff: true

- name: Migrate the database and wait for the end
  coracle.containers.container_run:
    name: migration
    image: shop:2.1
    command: ["./manage", "migrate"]
    detach: false
  register: migration

- name: Stop it for the night
  coracle.containers.container_run:
    name: shop
    state: stopped
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be, in order.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: Such as V(create), V(start), V(update), V(recreate), V(stop), V(remove), V(adopt).
      type: str
      returned: always
    target:
      description: The container's name.
      type: str
      returned: always
    disruption:
      description: V(live) where no process notices, V(restart) where it ends, V(recreate) where the container is replaced.
      type: str
      returned: always
    options:
      description: The options that the step brings to their new value.
      type: list
      elements: str
      returned: always
  sample: [{"action": "update", "target": "shop", "disruption": "live", "options": ["memory_max"]}]
diff:
  description: With C(--diff), per option what was and what will be. Secrets are masked.
  returned: success, with C(--diff)
  type: dict
  contains:
    before:
      description: What was, by option.
      type: dict
      returned: always
    after:
      description: What will be, by option. Steps that set no option are listed as C(actions).
      type: dict
      returned: always
  sample: {"before": {"memory_max": 67108864}, "after": {"memory_max": 134217728}}
container:
  description: The container as it is.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
      returned: always
    exists:
      description: Whether there is such a container.
      type: bool
      returned: always
    id:
      description: 64 hexadecimal digits, new whenever the container is created or replaced.
      type: str
      returned: when it exists
    status:
      description: V(created), V(running), V(paused), V(restarting), V(exited) or V(absent).
      type: str
      returned: always
    pid:
      description: Of its first process, on the host.
      type: int
      returned: while it runs
    image:
      description: The reference as it was given.
      type: str
      returned: when it exists
    image_id:
      description: The digest of the image's config.
      type: str
      returned: when it exists
    exit_code:
      description: Of its last run; 128 plus the signal's number where it was killed.
      type: int
      returned: when it has ended
    health:
      description:
        - What its health check has found. C(status) is V(starting), V(healthy) or V(unhealthy), C(failing_streak) how many probes
          have failed in a row, C(log) the last five of them with C(start), C(end), C(exit_code) and C(output), at most 4096 bytes.
      type: dict
      returned: when it has a health check
      sample: {"status": "healthy", "failing_streak": 0, "log": [{"start": "2026-11-21T10:00:00.000000000Z",
               "end": "2026-11-21T10:00:00.012000000Z", "exit_code": 0, "output": "ok"}]}
    oom_killed:
      description: Whether the kernel killed a process of it for going past its memory limit, in this or the last run.
      type: bool
      returned: when it exists
    started_at:
      description: When its last run began, RFC 3339 in UTC.
      type: str
      returned: when it was ever started
    finished_at:
      description: When its last run ended.
      type: str
      returned: when it has ended
    restarts:
      description: How often the restart policy has started it.
      type: int
      returned: when it exists
    addresses:
      description: Its IPv4 addresses by network.
      type: dict
      returned: while it runs in a network
      sample: {"coracle": "10.209.0.2"}
    published_ports:
      description: As asked for.
      type: list
      elements: str
      returned: when it exists
    options:
      description: All options as they are, values that sound secret hidden.
      type: dict
      returned: when it exists
    cgroup:
      description: The path of its cgroup within each hierarchy.
      type: str
      returned: while it runs
      sample: /coracle/web
    usage:
      description: Of CPU, memory, processes and block devices, as M(coracle.containers.container_cgroup) returns it.
      type: dict
      returned: while it runs
    log:
      description: Path of its log file.
      type: str
      returned: when it exists
rc:
  description: The exit code.
  returned: when O(detach=false) and the task has started the container
  type: int
stdout:
  description: What it wrote to its standard output, at most the last MiB.
  returned: when O(detach=false) and the task has started the container
  type: str
stderr:
  description: What it wrote to its standard error, at most the last MiB.
  returned: when O(detach=false) and the task has started the container
  type: str
"""

from ansible_collections.coracle.containers.plugins.module_utils.contract import run
from ansible_collections.coracle.containers.plugins.module_utils.options.container import OPTIONS


def main() -> None:
    """Entry point of the module."""
    run("container", OPTIONS)


if __name__ == "__main__":
    main()

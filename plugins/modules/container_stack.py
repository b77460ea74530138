#!/usr/bin/python
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run many containers as one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_stack
short_description: Run all containers of a host, with their networks and volumes, as one declaration
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Brings images, networks and containers to what one definition says, in one task, in parallel where one does not need the other.
  - The definition is written in the options of the collection's own modules (O(definition)), or in the language of the Compose
    specification (O(project_src), O(files)), which is read on the controller.
  - What is there is read from the kernel, as C(container_run) does it. Only what differs is changed, by the least disruptive step.
  - Circles, references to what is not there, ports and names that are asked for twice, and values that do not do are errors before
    anything is changed; all of them are told at once, each with its path.
  - A failure stops what depends on it, and nothing else; all failures are told together, and the next run goes on from there.
options:
  name:
    description:
      - The stack's name. Containers are called C(STACK-SERVICE-NUMBER), networks and volumes C(STACK_KEY).
      - Without it, the C(name) in the definition counts.
    type: str
  state:
    description:
      - V(present) runs it as described. Without a definition, as it was described last.
      - V(stopped) stops what runs of it, those that depend on others first; nothing is removed.
      - V(absent) removes containers and networks, and volumes too with O(keep_volumes=false). No definition is needed.
      - V(pulled) brings the images, and does nothing else.
      - V(rolled_back) goes back to the last definition that was reached before the present one, or to O(revision), with the very
        images of then where they are in the store. Services that it has not are removed. The same task again changes nothing.
    type: str
    default: present
    choices: [present, stopped, absent, pulled, rolled_back]
  definition:
    description:
      - The stack, with the parts C(services), C(networks), C(volumes), C(secrets) and C(configs), each a mapping of names.
      - A service has the options of M(coracle.containers.container_run), but for those that say what to do rather than how it shall
        be (C(name), C(state), C(detach), C(recreate), C(force), C(keep_volumes), C(healthy_wait_timeout), C(update_order)), and these
        further ones, C(depends_on), C(replicas), C(container_name), C(update), C(rollback), C(build), C(one_shot), C(secrets),
        C(configs). The page F(docs/stacks.md) describes them.
      - A network has the options of M(coracle.containers.container_network) but C(state) and C(force); C(external=true) is one that
        is there already, and C(name) its real name. Services that name no network are in the network C(default).
    type: dict
  project_src:
    description:
      - Folder of the controller with a Compose file, C(compose.yaml) or one of its other names, or the file itself.
      - The page F(docs/compose.md) tells what becomes of each key. The whole project is read before anything is sent, and all faults are told
        with file, line and path.
    type: path
  files:
    description:
      - Compose files of the controller, each of which adds to those before it; relative to O(project_src).
    type: list
    elements: path
  project_dest:
    description:
      - Where the project's folder lies on the managed host, for bind mounts and builds whose paths are relative; by default where it
        lies on the controller. It is not copied.
    type: path
  env_files:
    description:
      - Files of the controller with variables for the interpolation, relative to O(project_src); by default C(.env) there.
    type: list
    elements: path
  environment:
    description:
      - Variables for the interpolation, which count more than those of O(env_files). The environment of Ansible itself is not looked at.
    type: dict
  profiles:
    description:
      - The profiles that are active; V(*) for all. By default those in the variable C(COMPOSE_PROFILES).
    type: list
    elements: str
  unsupported:
    description:
      - What becomes of keys in Compose files that have no meaning here. With V(fail), all of them are told with file, line and path.
    type: str
    default: fail
    choices: [fail, warn]
  services:
    description:
      - Only these services, and those that they need. Nothing is pruned then, and no revision is kept.
    type: list
    elements: str
  prune:
    description:
      - Whether containers and networks are removed that the stack once had and declares no more. Volumes stay.
    type: bool
    default: false
  keep_volumes:
    description:
      - Whether named volumes stay with O(state=absent).
    type: bool
    default: true
  wait:
    description:
      - V(started) and V(none) wait until the processes run, and for what C(depends_on) says.
      - V(healthy) waits for the health of all containers that have a health check, too.
    type: str
    default: started
    choices: [none, started, healthy]
  wait_timeout:
    description:
      - How long each wait for health or for completion may take.
    type: str
    default: 300s
  pull:
    description:
      - When images are pulled, for all services that do not say so themselves; as in M(coracle.containers.container_run).
    type: str
    choices: [missing, always, newer, never]
  recreate:
    description:
      - Whether all containers are replaced, whatever has changed.
    type: bool
    default: false
  force:
    description:
      - Whether a memory limit may go below what is in use.
    type: bool
    default: false
  rollback_on_failure:
    description:
      - Whether a run that fails goes back to the last definition that was reached. The task fails all the same, and says so.
    type: bool
    default: false
  revision:
    description:
      - The number of the revision that O(state=rolled_back) goes back to; M(coracle.containers.container_stack_info) lists them.
    type: int
  plan:
    description:
      - Absolute path of a file on the managed host. In check mode the plan is written to it, with a digest. Else the file must be
        there, and the task is refused unless the plan still is the same, from the same reality.
    type: path
  parallel:
    description:
      - How many operations go on at once; by default two for each processor.
    type: int
seealso:
  - module: coracle.containers.container_run
  - module: coracle.containers.container_network
  - module: coracle.containers.container_stack_info
extends_documentation_fragment:
  - coracle.containers.attributes
  - coracle.containers.instance
"""

EXAMPLES = r"""
- name: A shop with its database, cache and two workers
  coracle.containers.container_stack:
    name: shop
    prune: true
    wait: healthy
    definition:
      services:
        db:
          image: docker.io/library/postgres:17
          env:
            POSTGRES_PASSWORD: "{{ shop_db_password }}"
          volumes: [data:/var/lib/postgresql/data]
          healthcheck:
            test: [CMD, pg_isready, -U, postgres]
          restart_policy: unless-stopped
        migrate:
          image: registry.example.org/shop:4.2
          command: [migrate]
          depends_on:
            db:
              condition: healthy
        web:
          image: registry.example.org/shop:4.2
          depends_on:
            migrate:
              condition: completed_successfully
          networks: [default, front]
          published_ports: ["8080:8000"]
        worker:
          image: registry.example.org/shop:4.2
          command: [work]
          replicas: 2
          memory: 256M
          depends_on: [db]
      networks:
        front:
          isolate: strict
      volumes:
        data: {}

- name: The same from a Compose file
  coracle.containers.container_stack:
    project_src: "{{ playbook_dir }}/shop"
    prune: true

- name: Look at what would be done, and keep that
  coracle.containers.container_stack:
    project_src: "{{ playbook_dir }}/shop"
    plan: /var/tmp/shop.plan
  check_mode: true

- name: Do just that
  coracle.containers.container_stack:
    project_src: "{{ playbook_dir }}/shop"
    plan: /var/tmp/shop.plan

- name: Go back to what was before
  coracle.containers.container_stack:
    name: shop
    state: rolled_back

- name: Take it away, data and all
  coracle.containers.container_stack:
    name: shop
    state: absent
    keep_volumes: false
"""

RETURN = r"""
actions:
  description: The changes of all objects, those of one object together.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: As the object's own module names it.
      returned: always
      type: str
    target:
      description: Kind and name of the object.
      returned: always
      type: str
      sample: container shop-web-1
    disruption:
      description: V(live), V(restart) or V(recreate).
      returned: always
      type: str
    options:
      description: The options that it brings to their desired value, each with the object in front.
      returned: always
      type: list
      elements: str
operations:
  description: What was done, or in check mode would be done, by object. Their order is that of the plan; what does not need one another
    is carried out at the same time.
  returned: when there is something to do
  type: list
  elements: dict
  contains:
    sign:
      description: V(+) for what is made, V(-) for what is taken away, V(~) for what is changed.
      returned: always
      type: str
    kind:
      description: V(image), V(network), V(volume) or V(container).
      returned: always
      type: str
    name:
      description: The object's name.
      returned: always
      type: str
    service:
      description: The service that it is of, if any.
      returned: always
      type: str
    reason:
      description: Why.
      returned: always
      type: str
    actions:
      description: The changes.
      returned: always
      type: list
      elements: str
    disruption:
      description: Of the most disruptive of these.
      returned: always
      type: str
    options:
      description: The options that differ.
      returned: always
      type: list
      elements: str
plan:
  description: The same for people, a line for each operation.
  returned: when there is something to do
  type: list
  elements: str
  sample: ["~ container shop-web-1 (recreate, start): differs in image"]
failures:
  description: What failed, each with C(operation), C(service) and C(msg).
  returned: when operations failed
  type: list
  elements: dict
skipped:
  description: What was not begun, each with C(operation) and the one it waited for, C(because).
  returned: when operations failed
  type: list
  elements: dict
faults:
  description: All that is wrong with the definition, or in the way.
  returned: when nothing was changed because of it
  type: list
  elements: str
diff:
  description: Per object and option what was and what is now.
  returned: when diff mode is on
  type: dict
  contains:
    before:
      description: The values that were found.
      returned: always
      type: dict
    after:
      description: The values that were asked for.
      returned: always
      type: dict
stack:
  description: The stack as it is now.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      returned: always
      type: str
    exists:
      description: Whether it is known on the host.
      returned: always
      type: bool
    revision:
      description: The number of the last definition that was reached.
      returned: always
      type: int
    services:
      description: By name, how many of the service's containers run, and its containers with C(name), C(status), C(id), C(image),
        C(image_id), C(published_ports), and C(health), C(pid) and C(exit_code) where they have one.
      returned: always
      type: dict
    networks:
      description: The names of its networks.
      returned: always
      type: list
      elements: str
    volumes:
      description: The names of its volumes.
      returned: always
      type: list
      elements: str
"""

from ansible_collections.coracle.containers.plugins.module_utils.contract import run
from ansible_collections.coracle.containers.plugins.module_utils.options.stack import OPTIONS
from ansible_collections.coracle.containers.plugins.module_utils.options.stack_definition import KINDS


def main() -> None:
    """Run the module."""
    run("stack", OPTIONS, KINDS)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what follows from the modules' option tables and documentation.

    scripts/generate.py            writes the files
    scripts/generate.py --check    says which of them are not current, and ends with 1 if any is

The role "app" hands entries of lists to modules; its task file and argument
specification name every option of them. container_run has the options about
registries as suboptions. docs/options.md tells what a change of each option costs,
docs/compose.md what becomes of each key of a Compose file.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import collection  # noqa: E402
import migration  # noqa: E402

HEADER = "".join(line + "\n" for line in Path(__file__).read_text(encoding="utf-8").splitlines()[1:4])
PACKAGE = "ansible_collections.coracle.containers.plugins.module_utils.options"
ROOTS = ("state_root", "run_root", "cgroup_root")
REGISTRY_MODULE = "plugins/modules/container_run.py"
LISTS = (
    # variable, module, heading of the task, options that the role does not offer
    ("app_images", "container_image", "Store the images", ()),
    ("app_networks", "container_network", "Make the networks", ("state", "force")),
    ("app_volumes", "container_volume", "Make the volumes", ("state", "force")),
    ("app_containers", "container_run", "Run the containers", ("detach",)),
)
APP = """
argument_specs:
  main:
    short_description: Runs one application with its images, networks, volumes and containers
    description:
      - Stores the images, makes the networks and volumes, runs the containers in the order given, and waits until the application answers.
      - Volumes that are not listed are made where a container first mounts them, and networks where a container first names them.
      - Adds the containers' results to the fact C(app_results), and what the pages said to the fact C(app_answers). Both are
        lists, for the end of the play.
    author: Coracle contributors (@coracle-containers)
    version_added: 1.0.0
    options:
      app_name:
        description: The application's name, for messages.
        type: str
        required: true
      app_state:
        description: With V(absent), its containers and images are removed.
        type: str
        default: present
        choices: [present, absent]
      app_state_root:
        description: Folder of the instance. By default the variable C(coracle_state_root), if set.
        type: path
        default: /var/lib/coracle
      app_run_root:
        description: Folder of the instance for what must not survive a reboot. By default C(coracle_run_root), if set.
        type: path
        default: /run/coracle
      app_cgroup_root:
        description: Cgroup of the instance. By default the variable C(coracle_cgroup_root), if set.
        type: str
        default: /coracle
      app_keep_images:
        description: Whether O(app_state=absent) leaves the images.
        type: bool
        default: false
      app_keep_volumes:
        description: Whether O(app_state=absent) leaves the volumes. Those that containers of others mention stay in any case.
        type: bool
        default: true
      app_wait:
        description: Pages that the managed host must be able to fetch before the role ends.
        type: list
        elements: dict
        default: []
        options:
          url:
            description: What to fetch, such as V(http://127.0.0.1:8080/healthy).
            type: str
            required: true
          status:
            description: The status that the answer must have.
            type: int
            default: 200
          contains:
            description: A text that the answer must contain.
            type: str
          timeout:
            description: Seconds within which the right answer must come.
            type: int
            default: 60
"""
OPTIONS_HEAD = """
<!--
Copyright (c) 2026, Coracle contributors
GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
SPDX-License-Identifier: GPL-3.0-or-later
-->
<!-- Written by scripts/generate.py. -->
# What a change of each option costs

The plan is always the least disruptive that reaches the desired state:

- *live*: no process notices.
- *restart*: the process is ended and started again; what it wrote stays.
- *recreate*: the object is replaced; what was written outside of volumes goes.
- –: the option says how to act, not how things shall be, and is not compared.

*Read back from* says where the present value comes from, with which the desired one is compared.
"""


COMPOSE_PACKAGE = "ansible_collections.coracle.containers.plugins.plugin_utils.compose"
COMPOSE_MARK = "<!-- From here on written by scripts/generate.py. -->\n"
COMPOSE_PARTS = (("", "The project"), ("services", "Services"), ("networks", "Networks"), ("volumes", "Volumes"), ("secrets", "Secrets"),
                 ("configs", "Configs"), ("models", "Models"))


def documentation() -> Dict[str, Any]:
    """All modules' documentation, fragments included, by short name."""
    found = {}
    for path in sorted((ROOT / "plugins" / "modules").glob("*.py")):
        found[path.stem] = path
    command = [str(Path(sys.executable).with_name("ansible-doc")), "--json", "-t", "module",
               *["coracle.containers." + name for name in found]]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True,
                          env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collection.linked())})
    return {name.rpartition(".")[2]: entry["doc"] for name, entry in json.loads(done.stdout).items()}


def option_table(module: str) -> Tuple[Any, ...]:
    """The option table of a module."""
    name = module.partition("_")[2]
    name = {"run": "container"}.get(name, name)
    return tuple(getattr(importlib.import_module("%s.%s" % (PACKAGE, name)), "OPTIONS", ()))


def specification(options: Dict[str, Any], indent: int, left_out: Tuple[str, ...] = ()) -> List[str]:
    """Documented options as an argument specification."""
    lines = []
    pad = " " * indent
    for name in options:
        if name in left_out:
            continue
        entry = options[name]
        lines.append("%s%s:" % (pad, name))
        text = entry["description"]
        for key, value in (("description", text if isinstance(text, str) else text if len(text) > 1 else text[0]),
                           ("type", entry.get("type", "str")), ("elements", entry.get("elements")),
                           ("required", entry.get("required") or None), ("default", entry.get("default")),
                           ("choices", entry.get("choices"))):
            if value is None:
                continue
            if key == "description":
                lines += described(value, pad + "  ")
            else:
                lines += textwrap.wrap("%s  %s: %s" % (pad, key, scalar(value)), 140, subsequent_indent=" " * (indent + len(key) + 5),
                                       break_long_words=False, break_on_hyphens=False)
        if entry.get("suboptions"):
            lines.append("%s  options:" % pad)
            lines += specification(entry["suboptions"], indent + 4)
    return lines


def described(text: Any, pad: str) -> List[str]:
    """A description, paragraphs as a list."""
    if isinstance(text, str):
        return ["%sdescription: >-" % pad] + textwrap.wrap(text, 120, initial_indent=pad + "  ",
                                                           subsequent_indent=pad + "  ", break_on_hyphens=False)
    lines = ["%sdescription:" % pad]
    for each in text:
        lines += ["%s  - >-" % pad] + textwrap.wrap(each, 120, initial_indent=pad + "    ",
                                                    subsequent_indent=pad + "    ", break_on_hyphens=False)
    return lines


def scalar(value: Any) -> str:
    """A value in YAML's flow style; words as they are."""
    if isinstance(value, str) and re.match(r"^[a-z][a-z_-]*$", value) and value not in ("no", "yes", "on", "off"):
        return value
    if isinstance(value, list):
        return "[%s]" % ", ".join(scalar(each) for each in value)
    return json.dumps(value, ensure_ascii=False)


def app_specification(docs: Dict[str, Any]) -> str:
    """roles/app/meta/argument_specs.yml."""
    lines = [HEADER + "---", "# Written by scripts/generate.py.", APP.strip("\n")]
    for variable, module, _heading, left_out in LISTS:
        if module in docs:
            lines += ["      %s:" % variable,
                      "        description: Each entry takes the options of M(coracle.containers.%s), by their first names." % module,
                      "        type: list", "        elements: dict", "        default: []", "        options:"]
            lines += specification(docs[module]["options"], 10, ROOTS + left_out)
    return "\n".join(lines) + "\n"


def app_tasks(at: int) -> Callable[[Dict[str, Any]], str]:
    """A function that renders the task file of one of the lists."""
    variable, module, heading, left_out = LISTS[at]

    def render(docs: Dict[str, Any]) -> str:
        lines = [HEADER + "---", "# Written by scripts/generate.py.",
                 "- name: %s" % heading, "  coracle.containers.%s:" % module]
        for name, entry in docs[module]["options"].items():
            if name not in ROOTS + left_out:
                lines.append('    %s: "{{ item.%s%s }}"' % (name, name, "" if entry.get("required") else " | default(omit)"))
        lines += ['  loop: "{{ %s }}"' % variable, "  loop_control:", '    label: "{{ item.name }}"',
                  "  register: __%s" % variable]
        if "password" in docs[module]["options"]:
            lines.append('  no_log: "{{ item.password is defined }}"')
        return "\n".join(lines) + "\n"
    return render


def options_page(docs: Dict[str, Any]) -> str:
    """docs/options.md."""
    lines = [OPTIONS_HEAD.strip("\n")]
    for module in docs:
        table = option_table(module)
        if not table:
            continue
        lines += ["", "## %s" % module, "", docs[module]["short_description"] + ".", "",
                  "| option | type | default | a change is | read back from |", "|---|---|---|---|---|"]
        for option in table:
            compared = option.compare != "not_compared"
            kind = "list of %s" % option.elements if option.type == "list" and option.elements else option.type
            default = "" if option.default is None else "`%s`" % json.dumps(option.default).strip('"')
            lines.append("| `%s`%s | %s | %s | %s | %s |" % (
                option.name, " (required)" if option.required else "", kind, default,
                option.disruption if compared else "–", option.read_from if compared else ""))
    return "\n".join(lines) + "\n"


def compose_page(_docs: Dict[str, Any]) -> str:
    """docs/compose.md: its words as they are, and behind them the table of keys."""
    sys.path.insert(0, str(collection.linked()))
    rows = importlib.import_module(COMPOSE_PACKAGE + ".table").ROWS
    head, mark, _old = (ROOT / "docs/compose.md").read_text(encoding="utf-8").partition(COMPOSE_MARK)
    counts = {name: sum(bool(getattr(row, name)) for row in rows if row.path) for name in ("unsupported", "idle")}
    total = sum(bool(row.path) for row in rows)
    lines = ["", "%d keys: %d have their effect, %d have none anywhere on a single host, %d are not supported." % (
        total, total - sum(counts.values()), counts["idle"], counts["unsupported"])]
    for part, title in COMPOSE_PARTS:
        lines += ["", "### " + title, "", "| key | written as | becomes |", "|---|---|---|"]
        for row in rows:
            top = row.path.split(".")[0].split("[")[0]
            if not row.path or (top if top in dict(COMPOSE_PARTS) else "") != part:
                continue
            if part != "models" and row.path in (part, part + ".*"):  # the heading
                continue
            name = re.sub(r"^(services|networks|volumes|secrets|configs)\.\*\.", "", row.path)
            becomes = "`%s`" % row.sets if row.sets else row.becomes or (
                "**not supported**: " + row.unsupported if row.unsupported else "no effect: " + row.idle)
            lines.append("| `%s` | %s | %s |" % (name, row.kind.words.replace("|", "\\|"), becomes.replace("|", "\\|")))
    return head + mark + "\n".join(lines) + "\n"


def registry_suboptions(_docs: Dict[str, Any]) -> str:
    """The module that has the options of the doc fragment about registries as suboptions, for which there are no fragments."""
    fragment = (ROOT / "plugins/doc_fragments/registry.py").read_text(encoding="utf-8")
    options = fragment.partition("\noptions:\n")[2].partition('"""')[0]
    module = (ROOT / REGISTRY_MODULE).read_text(encoding="utf-8")
    head, mark, rest = module.partition("\n  registry:\n")
    before, title, old = rest.partition("    suboptions:\n")
    after = re.search(r"^  \w", old, re.MULTILINE)
    if not (mark and title and after):
        raise ValueError("%s has no option 'registry' with suboptions" % REGISTRY_MODULE)
    return head + mark + before + title + re.sub(r"O\((?=\w)", "O(registry.", textwrap.indent(options, "    ")) + old[after.start():]


FILES = {
    REGISTRY_MODULE: registry_suboptions,
    "roles/app/meta/argument_specs.yml": app_specification,
    "roles/app/tasks/images.yml": app_tasks(0),
    "roles/app/tasks/networks.yml": app_tasks(1),
    "roles/app/tasks/volumes.yml": app_tasks(2),
    "roles/app/tasks/containers.yml": app_tasks(3),
    "docs/options.md": options_page,
    "docs/migration.md": lambda _docs: migration.page(option_table),
    "docs/compose.md": compose_page,
}  # type: Dict[str, Callable[[Dict[str, Any]], str]]


def main(arguments: List[str]) -> int:
    """The command line; returns the exit status."""
    docs = documentation()
    sys.path.insert(0, str(collection.linked()))
    stale = 0
    for name, render in FILES.items():
        path = ROOT / name
        try:
            text = render(docs)
        except KeyError:
            continue
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if arguments == ["--check"]:
            sys.stdout.write("%s is not current: run scripts/generate.py\n" % name)
            stale = 1
        else:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write("wrote %s\n" % name)
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env bash
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Checks and tests everything. All stages run, whatever the earlier ones found.
#
#   scripts/test.sh                          all stages
#   scripts/test.sh lint unit                some of them
#   scripts/test.sh integration -k memory    one, with arguments for its tool
#
# Stages: ruff mypy yamllint ansible-lint reuse changelog docs sanity newest unit integration molecule vm leftovers;
# `lint` is the first seven.

set -uo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root" || exit 1

lint=(ruff mypy yamllint ansible-lint reuse changelog docs)
all=("${lint[@]}" sanity newest unit integration molecule vm leftovers)
reports=$cache/reports

stage_ruff() { ruff check --output-format concise . "$@"; }

stage_mypy() {
    local tree package=ansible_collections.coracle.containers.plugins.module_utils
    tree=$(python tests/collection.py)
    MYPYPATH=$tree mypy -p "$package.engine" "$@"
}

stage_yamllint() { yamllint --strict . "$@"; }

# The checkout's ansible-lint must not read what is installed on this machine besides.
stage_ansible_lint() { ansible-lint --offline --nocolor "$@"; }

stage_reuse() { reuse lint --lines; }

stage_changelog() { antsibull-changelog lint; }

stage_docs() {
    local kind name failed=0
    for kind in module connection inventory callback filter lookup; do
        for name in "$installed/plugins/${kind/module/modules}"/*.py; do
            [ -f "$name" ] || continue
            ansible-doc --json -t "$kind" "coracle.containers.$(basename "$name" .py)" >"$cache/doc.json" || failed=1
            grep -q '"doc"' "$cache/doc.json" || { echo "no documentation: $name"; failed=1; }
        done
    done
    for name in "$installed"/roles/*/meta/argument_specs.yml; do
        [ -f "$name" ] || continue
        name=$(basename "$(dirname "$(dirname "$name")")")
        ansible-doc -t role "coracle.containers.$name" >/dev/null || failed=1
    done
    return $failed
}

stage_sanity() { timeout --kill-after 60 900 "$root/scripts/sanity.sh" "$@"; }

# The other end of what is supported: the newest ansible-core, where this machine has a Python for it.
stage_newest() (
    CORACLE_PYTHON=$(newest_python) || { echo "no Python 3.12 or newer here, so no newer ansible-core"; exit 0; }
    export CORACLE_PYTHON
    venv test
    ansible --version | sed -n 1p
    status=0
    "$root/scripts/sanity.sh" || status=1
    python -m pytest tests/unit/contract tests/integration/hosts -q --junit-xml="$reports/newest.xml" "$@" || status=1
    exit $status
)

stage_unit() { tests unit "$@"; }

stage_integration() { tests integration "$@"; }

tests() {
    local name=$1
    shift
    python -m pytest "tests/$name" -q --continue-on-collection-errors -o console_output_style=count --durations=5 \
        --junit-xml="$reports/$name.xml" "$@"
}

# The scenario makes its own instance, a machine made of namespaces; this machine stays as it is.
stage_molecule() {
    MOLECULE_EPHEMERAL_DIRECTORY=$cache/molecule NO_COLOR=1 ANSIBLE_NOCOLOR=1 \
        timeout --kill-after 60 900 molecule test --all "$@"
}

# The other kind of host: cgroup v2 only, systemd, AppArmor. Given no arguments, it runs what is different there.
stage_vm() {
    local status=0
    "$root/tests/vm/run" "$@" || status=$?
    cp "$cache/vm/results/junit.xml" "$reports/vm.xml" || status=1
    return $status
}

stage_leftovers() {
    [ -f "$cache/before.json" ] || { echo "there is no snapshot of before"; return 1; }
    python tests/leftovers.py compare "$cache/before.json"
}

chosen=()
while [ $# -gt 0 ]; do
    case " lint ${all[*]} " in
        *" $1 "*) [ "$1" = lint ] && chosen+=("${lint[@]}") || chosen+=("$1") ;;
        *) break ;;
    esac
    shift
done
if [ ${#chosen[@]} -eq 0 ]; then
    [ $# -eq 0 ] || die "no stage is named '$1'; the stages: lint ${all[*]}"
    chosen=("${all[@]}")
fi

packages openssh-server openssh-client iproute2 iputils-ping nftables procps python3 busybox-static curl mmdebstrap psmisc
venv test
rm -rf "$reports"
mkdir -p "$reports"
install_collection
export CORACLE_TEST_INSTALLED=$ANSIBLE_COLLECTIONS_PATH
installed=$ANSIBLE_COLLECTIONS_PATH/ansible_collections/coracle/containers
python tests/leftovers.py snapshot "$cache/before.json"

table=()
passed=0
failed=0
for stage in "${chosen[@]}"; do
    printf '\n== %s\n' "$stage"
    begin=$SECONDS
    if "stage_${stage/-/_}" "$@"; then result=ok; else result=FAILED; fi
    counts=
    if [ -f "$reports/$stage.xml" ]; then
        counts=$(python - "$reports/$stage.xml" <<'PYTHON'
import sys
import xml.etree.ElementTree as tree
suite = next(tree.parse(sys.argv[1]).getroot().iter("testsuite"))
tests, bad, skipped = (int(suite.get(key)) for key in ("tests", "failures", "skipped"))
bad += int(suite.get("errors"))
print(max(tests - bad - skipped, 0), bad, skipped)
PYTHON
        )
        read -r good bad skipped <<<"$counts"
        [ $result = ok ] || [ "$bad" -gt 0 ] || bad=1
        counts="$good passed, $bad failed, $skipped skipped"
    else
        good=0 bad=0
        if [ $result = ok ]; then good=1; else bad=1; fi
    fi
    passed=$((passed + good))
    failed=$((failed + bad))
    table+=("$(printf '%-14s %-7s %5d s   %s' "$stage" "$result" $((SECONDS - begin)) "$counts")")
done

printf '\n%s\n' '------------------------------------------------------------'
printf '%s\n' "${table[@]}"
printf '%s\n' '------------------------------------------------------------'
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]

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
# Stages: ruff mypy yamllint ansible-lint reuse changelog docs sanity newest unit security molecule vm integration leftovers;
# `lint` is the first seven. Beside others, the virtual machine runs from the beginning on: until its turn, nothing measures time.

set -uo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root" || exit 1

lint=(ruff mypy yamllint ansible-lint reuse changelog docs)
all=("${lint[@]}" sanity newest unit security molecule vm integration leftovers)
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
    # What another ansible-core can see otherwise; how the source reads, the stage before has told.
    "$root/scripts/sanity.sh" --test ansible-doc --test import --test runtime-metadata --test validate-modules || status=1
    python -m pytest tests/unit/contract tests/integration/hosts tests/integration/modules/test_kept.py -q --junit-xml="$reports/newest.xml" "$@" || status=1
    exit $status
)

stage_unit() { tests unit "$@"; }

stage_integration() { tests integration "$@"; }

# Attacks. Given no arguments, the quick part; `security -m ''` is all of it.
stage_security() { tests security -m "not slow or quick" "$@"; }

# tests NAME [ARGUMENT...]: most of a folder by three processes at once, since many wait, a file by one of them; then what has to be alone;
# then, in a process and test hosts of its own, once more what failed: the summary names it. A loaded machine must not hide what
# thousands of others tell; but more than a few are no accident.
tests() {
    local name=$1 first=0 second=0 third=0  # statuses
    shift
    rm -rf "$cache/pytest/$name"
    part "$name" together --turn together --numprocesses "${CORACLE_TEST_WORKERS:-3}" --dist loadfile --no-loadscope-reorder \
        --max-worker-restart 4 "$@" || first=$?
    part "$name" alone --turn alone "$@" || second=$?
    # 5: no test was chosen; one of the two must have had some.
    case $first$second in
        00 | 05 | 50) return 0 ;;
        01 | 10 | 11 | 15 | 51) ;;  # tests failed, and all that were chosen have been run
        *) return 1 ;;
    esac
    python tests/turns.py --few "$reports/$name"-*.xml || return 1
    part "$name" once-more --turn all --last-failed "$@" || third=$?
    return $third
}

# part NAME TURN [ARGUMENT...]: one run of pytest. One that hangs for its whole time (pyproject.toml), and those after it that wait for its
# locks, must not cost the rest its turn.
part() {
    local name=$1 turn=$2
    shift 2
    python -m pytest "tests/$name" -q --session-timeout 3000 --continue-on-collection-errors -o console_output_style=count \
        -o cache_dir="$cache/pytest/$name" --durations=5 --junit-xml="$reports/$name-$turn.xml" "$@"
}

# The scenario makes its own instance, a machine made of namespaces; this machine stays as it is.
stage_molecule() {
    MOLECULE_EPHEMERAL_DIRECTORY=$cache/molecule NO_COLOR=1 ANSIBLE_NOCOLOR=1 \
        timeout --kill-after 60 900 molecule test --all "$@"
}

# The other kind of host: cgroup v2 only, systemd, AppArmor. Given no arguments, it runs what is different there.
stage_vm() {
    local status=0
    if [ -n "$machine" ]; then
        wait "$machine" || status=$?
        machine=
        cat "$cache/vm.log"
    else
        "$root/tests/vm/run" "$@" || status=$?
    fi
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

packages openssh-server openssh-client iproute2 iputils-ping nftables procps python3 busybox-static curl mmdebstrap psmisc \
    podman crun uidmap slirp4netns fuse-overlayfs containerd bsdutils skopeo buildah umoci erofs-utils golang-src zstd openssl \
    docker-registry apache2-utils criu catatonit iperf3 iptables ufw
venv test
rm -rf "$reports"
mkdir -p "$reports"
install_collection
export CORACLE_TEST_INSTALLED=$ANSIBLE_COLLECTIONS_PATH
installed=$ANSIBLE_COLLECTIONS_PATH/ansible_collections/coracle/containers
python tests/leftovers.py snapshot "$cache/before.json"

machine=
case "${chosen[*]}" in
    *" vm" | *" vm "*)
        "$root/tests/vm/run" "$@" >"$cache/vm.log" 2>&1 &
        machine=$!
        trap '[ -z "$machine" ] || { kill "$machine"; wait "$machine"; }' EXIT
        trap 'exit 143' TERM INT HUP
        ;;
esac

table=()
again=()
passed=0
failed=0
for stage in "${chosen[@]}"; do
    printf '\n== %s\n' "$stage"
    begin=$SECONDS
    if "stage_${stage/-/_}" "$@"; then result=ok; else result=FAILED; fi
    counts=
    good=0 bad=0 skipped=0 repeated=()
    if compgen -G "$reports/$stage*.xml" >/dev/null; then
        { read -r good bad skipped; mapfile -t repeated; } < <(python tests/turns.py "$reports/$stage"*.xml || echo 0 1 0)
        [ $result = ok ] || [ "$bad" -gt 0 ] || bad=1
        counts="$good passed, $bad failed, $skipped skipped"
        [ ${#repeated[@]} -eq 0 ] || counts+=", ${#repeated[@]} run again"
        again+=("${repeated[@]/#/$stage: }")
    elif [ $result = ok ]; then
        good=1
    else
        bad=1
    fi
    passed=$((passed + good))
    failed=$((failed + bad))
    table+=("$(printf '%-14s %-7s %5d s   %s' "$stage" "$result" $((SECONDS - begin)) "$counts")")
done

printf '\n%s\n' '------------------------------------------------------------'
printf '%s\n' "${table[@]}"
printf '%s\n' '------------------------------------------------------------'
[ ${#again[@]} -eq 0 ] || printf 'run again, since it failed: %s\n' "${again[@]}"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]

# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# What the commands in this folder share. Nothing is written outside of the
# checkout's own .venv/ and .cache/, except Debian packages that are missing.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=$root/.cache
export ANSIBLE_COLLECTIONS_PATH=$cache/collections
export ANSIBLE_HOME=$cache/ansible
export ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_INVENTORY_UNPARSED_WARNING=false
export ANSIBLE_NOCOWS=1 PIP_DISABLE_PIP_VERSION_CHECK=1
export LC_ALL=C.UTF-8

mkdir -p "$cache" "$root/.venv"

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

say() { printf '\n== %s\n' "$*" >&2; }

# packages NAME...: installs the Debian packages that are missing.
packages() {
    local name missing=()
    for name in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    command -v apt-get >/dev/null || die "these packages are missing and there is no apt-get: ${missing[*]}"
    [ "$(id -u)" -eq 0 ] || die "these packages are missing, install them as root: ${missing[*]}"
    say "installing ${missing[*]}"
    local policy=/usr/sbin/policy-rc.d ours=no failed=no
    if [ ! -e "$policy" ]; then  # a daemon that comes with a package is not to be started on this machine
        ours=yes
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    apt_install "${missing[@]}" || { apt-get -qq update >>"$cache/apt.log" 2>&1; apt_install "${missing[@]}"; } || failed=yes
    [ $ours = no ] || rm -f "$policy"
    [ $failed = no ] || { cat "$cache/apt.log" >&2; die "apt-get could not install ${missing[*]}"; }
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 \
        install "$@" >"$cache/apt.log" 2>&1
}

# python_command: the first of python3 and the versioned ones that ansible-core runs on.
python_command() {
    local name path
    for name in ${CORACLE_PYTHON:-} python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
        path=$(command -v "$name") || continue
        "$path" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2])' 2>/dev/null || continue
        "$path" -c 'import os, sys; print(os.path.realpath(sys._base_executable))'  # not that of an environment
        return 0
    done
    die "no Python 3.11 or newer found; set CORACLE_PYTHON to one"
}

# newest_python: one that newer versions of ansible-core need; fails where there is none.
newest_python() {
    local name
    for name in python3.14 python3.13 python3.12; do
        for name in "/usr/bin/$name" "$HOME/.pyenv/versions/${name#python}".*/bin/python3; do
            if [ -x "$name" ]; then
                printf '%s\n' "$name"
                return 0
            fi
        done
    done
    return 1
}

# venv NAME: makes .venv/NAME from requirements/NAME.txt and puts it first on PATH; a second call costs nothing.
venv() {
    local folder=$root/.venv/$1 python key
    python=$(python_command)
    [ -z "${CORACLE_PYTHON:-}" ] || folder+=-$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    key=$({ cat "$root"/requirements/{controller,"$1"}.txt; echo "$folder"; } | sha256sum)
    exec 8>"$root/.venv/lock"
    flock 8
    if [ "$(cat "$folder/key" 2>/dev/null)" != "$key" ] || ! "$folder/bin/python" -c 'import ansible'; then
        say "making $folder with $("$python" -V)"
        rm -rf "$folder"
        "$python" -c 'import ensurepip, venv' 2>/dev/null || packages python3-venv
        "$python" -m venv "$folder"
        "$folder/bin/python" -m pip install -q --no-input -r "$root/requirements/$1.txt" \
            >"$cache/pip.log" 2>&1 || { cat "$cache/pip.log" >&2; die "pip could not install requirements/$1.txt"; }
        printf '%s\n' "$key" >"$folder/key"
    fi
    flock -u 8
    exec 8>&-
    export PATH=$folder/bin:$PATH VIRTUAL_ENV=$folder
}

# sources: the files that the collection is built from, NUL-terminated.
sources() {
    (cd "$root" && find . -path ./.git -prune -o -path ./.venv -prune -o -path ./.cache -prune \
        -o -name __pycache__ -prune -o -path './.*_cache' -prune -o -path ./.ansible -prune \
        -o -type f ! -name '*.tar.gz' -print0 | LC_ALL=C sort -z)
}

# install_collection: builds the collection and installs it below .cache/installed, if a source has changed since.
# .cache/collections leads to the newest; who runs an older one meanwhile keeps it.
install_collection() {
    local key target
    exec 9>"$cache/lock"
    flock 9
    key=$(cd "$root" && sources | xargs -0 sha256sum | sha256sum | cut -c1-16)
    target=$cache/installed/$key
    if [ ! -f "$target/complete" ]; then
        rm -rf "$cache/build" "$target"
        mkdir -p "$cache/build" "$target"
        ansible-galaxy collection build --force --output-path "$cache/build" "$root" >"$cache/build.log" 2>&1 \
            || { cat "$cache/build.log" >&2; die "the collection does not build"; }
        ansible-galaxy collection install --offline --no-deps --force -p "$target" "$cache"/build/*.tar.gz \
            >"$cache/build.log" 2>&1 || { cat "$cache/build.log" >&2; die "the collection does not install"; }
        touch "$target/complete"
        # shellcheck disable=SC2012  # the names are digests
        (cd "$cache/installed" && ls -t | tail -n +9 | xargs -r rm -rf)
    fi
    [ ! -d "$cache/collections" ] || [ -L "$cache/collections" ] || rm -rf "$cache/collections"
    ln -sfn "installed/$key" "$cache/collections.$$"
    mv -T "$cache/collections.$$" "$cache/collections"
    export ANSIBLE_COLLECTIONS_PATH=$target
    flock -u 9
    exec 9>&-
}

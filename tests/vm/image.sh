#!/usr/bin/env bash
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Builds the virtual machine's kernel and root file system below .cache/vm, unless they are there; prints their folder.
#
# The packages are Debian's, of this machine's own release, from the archives that its apt is configured with. Nothing is
# mounted on this machine: mmdebstrap works in a mount namespace of its own, and mkfs.ext4 fills the image from a folder.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/../../scripts/lib.sh"

vm=$cache/vm
mkdir -p "$vm"

[ "$(uname -m)" = x86_64 ] || die "the machine is built on x86_64 hosts only, this one is $(uname -m)"
[ "$(id -u)" -eq 0 ] || die "building a root file system takes root"
command -v apt-get >/dev/null || die "building the machine takes Debian's apt-get"

# names FILE: its lines without comments.
names() { grep -v '^#' "$1"; }

# archives: Debian's own archives in this machine's apt configuration, as lines of a sources.list.
archives() {
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)' 'Created-By: Packages' |
        awk -F'|' '$1 == "Debian" { print "deb", $2, $3, $4 }' | sort -u
}

# lists: fetches apt's package lists where there are none.
lists() {
    [ -n "$(archives)" ] || apt-get -qq update >&2
    [ -n "$(archives)" ] || die "apt-get indextargets names no archive of Debian: check /etc/apt/sources.list.d"
}

kernel() {
    local package folder=$1/kernel
    mkdir "$folder"
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/ { print $2; exit }')
    [ -n "$package" ] || { echo "apt knows no linux-image-cloud-amd64" >&2; return 1; }
    (cd "$folder" && apt-get -qq -o APT::Sandbox::User=root download "$package")
    mkdir "$folder/tree"
    dpkg-deb -x "$folder"/*.deb "$folder/tree"
    mv "$folder"/tree/boot/vmlinuz-* "$1/vmlinuz"
}

# The system's own interpreter has the version of the one in the image, so what pip chooses and compiles fits.
wheels() {
    local pip=$1/pip
    names "$here/requirements.txt" >"$1/requirements"
    python3 -m pip --python /usr/bin/python3 install -q --no-input --root-user-action ignore --only-binary :all: \
        --target "$pip" -c "$root/requirements/test.txt" -r "$1/requirements"
    sed -i '1s|^#!.*|#!/opt/tests/bin/python|' "$pip"/bin/*
}

rootfs() {
    local options=()
    # What decides whether the archives can be reached; removed from the image again.
    apt-config dump | grep -E '^Acquire::(https?::.*Proxy|Check-Valid-Until|Check-Date|Retries)' >"$1/apt.conf" || :
    archives >"$1/sources.list"
    [ ! -s "$1/apt.conf" ] || options+=(--aptopt="$1/apt.conf")
    # shellcheck disable=SC2016
    unshare --mount --propagation private mmdebstrap --quiet --mode=root --variant=minbase --format=directory \
        --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
        "${options[@]}" --aptopt='Acquire::Languages "none"' --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
        --include="$(names "$here/packages.txt" | paste -sd,)" \
        --customize-hook='rm -f "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/ssh/ssh_host_*' \
        "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$1/root" "$1/sources.list"
}

# assemble WORK: puts the parts together and makes the disk of them.
assemble() {
    local tree=$1/root version
    version=$(basename "$1"/kernel/tree/lib/modules/*)
    mkdir -p "$tree/usr/lib/modules"
    mv "$1/kernel/tree/lib/modules/$version" "$tree/usr/lib/modules/"
    chroot "$tree" depmod "$version"
    version=$(chroot "$tree" python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    # A virtual environment, so that /usr/bin/python3 stays what a managed host has: the standard library.
    mkdir -p "$tree/opt/tests/lib/$version" "$tree/opt/tests/bin"
    mv "$1"/pip/bin/* "$tree/opt/tests/bin/"
    rmdir "$1/pip/bin"
    mv "$1/pip" "$tree/opt/tests/lib/$version/site-packages"
    ln -s /usr/bin/python3 "$tree/opt/tests/bin/python"
    ln -s python "$tree/opt/tests/bin/python3"
    printf 'home = /usr/bin\ninclude-system-site-packages = false\n' >"$tree/opt/tests/pyvenv.cfg"
    cp "$here"/guest/coracle-test.{service,target} "$tree/etc/systemd/system/"
    install -D "$here/guest/start" "$tree/usr/local/lib/coracle-test/start"
    echo coracle-vm >"$tree/etc/hostname"
    printf '127.0.0.1 localhost coracle-vm\n::1 localhost\n' >"$tree/etc/hosts"
    : >"$tree/etc/resolv.conf"
    : >"$tree/etc/fstab"
    echo 2b1d4cf3f5c84d9c9f2c5d0a9a3a7e11 >"$tree/etc/machine-id"
    # One partition, since the kernel by itself finds a root by the partition's UUID but not by the file system's.
    # Without a journal: every boot starts from this state again.
    truncate -s 4G "$1/root.disk"
    python3 - "$1/root.disk" <<'PYTHON'
import struct, sys
with open(sys.argv[1], "r+b") as disk:
    size = disk.seek(0, 2) // 512
    disk.seek(440)  # disk signature, one entry of type Linux from sector 2048 on, three empty ones, boot signature
    disk.write(struct.pack("<IH 4xB3xII 48x2s", 0xC07AC1E0, 0, 0x83, 2048, size - 2048, b"\x55\xaa"))
PYTHON
    mkfs.ext4 -q -F -O ^has_journal -E lazy_itable_init=1,nodiscard,offset=1048576 -m 0 -d "$tree" \
        "$1/root.disk" $((4 * 1024 * 1024 - 1024))k >/dev/null
}

build() {
    local work=$1 started=$SECONDS job failed=no
    local -A jobs
    say "building the virtual machine"
    lists
    for job in kernel wheels rootfs; do
        "$job" "$work" >"$work/$job.log" 2>&1 &
        jobs[$job]=$!
    done
    for job in "${!jobs[@]}"; do
        wait "${jobs[$job]}" || { failed=yes; echo "$job:" >&2; cat "$work/$job.log" >&2; }
    done
    [ $failed = no ] || die "the virtual machine could not be built"
    assemble "$work"
    echo "built in $((SECONDS - started)) s" >&2
}

packages qemu-system-x86 mmdebstrap e2fsprogs python3
key=$({
    cat "$here/image.sh" "$here"/{packages,requirements}.txt "$here"/guest/{coracle-test.*,start} "$root"/requirements/*.txt
    /usr/bin/python3 -VV
    cat /etc/debian_version
} | sha256sum | cut -c1-16)

exec 7>"$vm/lock"
flock 7
if [ ! -e "$vm/$key/root.disk" ]; then
    work=$(mktemp -d "$vm/build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    command -v ansible-galaxy >/dev/null || venv controller
    build "$work"
    mkdir "$work/image"
    mv "$work/vmlinuz" "$work/root.disk" "$work/image/"
    for old in "$vm"/????????????????; do
        [ ! -d "$old" ] || rm -rf "$old"
    done
    mv "$work/image" "$vm/$key"
fi
exec 7>&-
printf '%s\n' "$vm/$key"

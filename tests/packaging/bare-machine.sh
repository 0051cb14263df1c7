#!/usr/bin/env bash
# What a newcomer does, on a machine that has nothing: clones the present commit into a minimal
# Debian that has only git and ca-certificates, and runs ./run there. Not part of ./run check,
# since it needs root, debootstrap and minutes.
# usage: bare-machine.sh [--suite SUITE] [--base DIRECTORY] [./run ARGUMENTS]...
#   --suite  the Debian: bookworm (12), which is the default, or trixie (13)
#   --base   where the bare system is kept for the next time; made when it is not there
#   each further argument is one command line for ./run; default: "demo" "demo redis" "demo etcd" "check"
# METAFORA_REDIS_SERVER, if set, names the server that the tests run in place of redis-server; a package
# of that name is installed first.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

die() {
    echo "bare-machine: $*" >&2
    exit 1
}

# The mirror that this machine itself uses.
mirror() {
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -v security | sort -u | head -n 1
}

make_base() {
    local include=git,ca-certificates url
    url=$(mirror)
    [[ -n $url ]] || die "apt has no mirror here"
    debootstrap --variant=minbase --include="$include" "$suite" "$1" "$url" >"$1.log" 2>&1 ||
        die "debootstrap failed, see $1.log"
}

# Runs in a mount and process namespace of its own, so that all it mounts and starts ends with it.
inside() {
    local root=$1 line
    shift
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/tmp"
    in_root=(chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
        ${METAFORA_REDIS_SERVER:+METAFORA_REDIS_SERVER="$METAFORA_REDIS_SERVER"})

    "${in_root[@]}" git -c advice.detachedHead=false clone --quiet /repository.bundle /home/libmetafora
    refuses_without_root "$root"
    [[ -z ${METAFORA_REDIS_SERVER:-} ]] || install_quietly "$root" "$METAFORA_REDIS_SERVER"
    for line in "$@"; do
        echo "== ./run $line"
        # shellcheck disable=SC2086
        "${in_root[@]}" /home/libmetafora/run $line </dev/null || die "./run $line failed"
        no_server_left "$root"
    done
}

# A server that is not what ./run would install, without starting it.
install_quietly() {
    printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
    chmod +x "$1/usr/sbin/policy-rc.d"
    "${in_root[@]}" sh -c "apt-get update && apt-get install --yes --no-install-recommends $2" >"$1/tmp/install.log" 2>&1 ||
        die "cannot install $2: $(tail -n 3 "$1/tmp/install.log")"
    rm "$1/usr/sbin/policy-rc.d"
}

# Without root and sudo, ./run must name what is missing and the line that installs it.
refuses_without_root() {
    local said status=0
    echo "== ./run check, as a user without root"
    said=$(chroot --userspec=65534:65534 "$1" /home/libmetafora/run check 2>&1 </dev/null) || status=$?
    echo "$said"
    [[ $status -eq 1 ]] || die "exit status $status instead of 1"
    grep -q 'missing packages: .*cmake' <<<"$said" || die "it does not say what is missing"
    grep -q 'apt-get install .*cmake' <<<"$said" || die "it does not say how to install it"
}

# The servers of the demos and tests must be gone, and none of the system's may have come.
no_server_left() {
    local executable
    for executable in "$1"/proc/[0-9]*/exe; do
        [[ $(readlink "$executable" 2>/dev/null) != "$1"/* ]] ||
            die "left running: $(readlink "$executable")"
    done
    [[ ! -e $1/usr/sbin/policy-rc.d ]] || die "left behind: policy-rc.d"
}

if [[ ${1:-} == --inside ]]; then
    shift
    inside "$@"
    exit
fi

[[ $(id -u) -eq 0 ]] || die "needs root"
command -v debootstrap >/dev/null || die "needs debootstrap"
work=$(mktemp -d)
base=$work/base
trap 'rm -rf --one-file-system "$work"' EXIT
suite=bookworm
while [[ ${1:-} == --suite || ${1:-} == --base ]]; do
    [[ $1 == --suite ]] && suite=$2 || base=$2
    shift 2
done
[[ $# -gt 0 ]] || set -- "demo" "demo redis" "demo etcd" "check"

[[ -d $base ]] || make_base "$base"
cp -a "$base" "$work/root"
cp -L /etc/resolv.conf /etc/hosts "$work/root/etc/"
git -C "$repository" bundle create --quiet "$work/root/repository.bundle" HEAD
unshare --mount --pid --fork --kill-child --propagation private \
    bash "${BASH_SOURCE[0]}" --inside "$work/root" "$@"
echo "bare machine: passed"

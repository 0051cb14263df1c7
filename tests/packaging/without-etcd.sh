#!/usr/bin/env bash
# On a machine that lacks what the driver for etcd is built with, cmake says which packages, builds
# the rest, and fails when told that the driver is wanted.
# usage: without-etcd.sh SOURCE-TREE WORK
set -euo pipefail
source=$1 work=$2

rm -rf "$work"
mkdir -p "$work"
cat >"$work/pkg-config" <<'WRAPPER'
#!/bin/sh
case " $* " in *nghttp2* | *protobuf-c*) exit 1 ;; esac
exec pkg-config "$@"
WRAPPER
chmod 755 "$work/pkg-config"

configure() {
    cmake -S "$source" -B "$work/$1" -G Ninja -DPKG_CONFIG_EXECUTABLE="$work/pkg-config" \
        -DMETAFORA_TESTS=OFF -DMETAFORA_ETCD="$1" >"$work/$1.log" 2>&1
}

configure AUTO
grep -q 'without metafora-etcd, .*: libnghttp2-dev, libprotobuf-c-dev$' "$work/AUTO.log"
grep -q 'koalemosd-redis' "$work/AUTO/build.ninja"
if grep 'koalemosd-etcd' "$work/AUTO/build.ninja"; then
    echo "a program for etcd would be built"
    exit 1
fi
if configure ON; then
    echo "METAFORA_ETCD=ON has passed"
    exit 1
fi
tr -s ' \n' ' ' <"$work/ON.log" | grep -q 'METAFORA_ETCD is ON, .*: libnghttp2-dev, libprotobuf-c-dev'

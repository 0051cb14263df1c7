#!/usr/bin/env bash
# Compiles an application once, links that one object with each broker's library of an installed tree,
# and runs each program on a real, private server of its broker.
# usage: one-object.sh INSTALLED WORK
set -euo pipefail
installed=$1 work=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PKG_CONFIG_PATH=$(dirname "$(find "$installed" -name metafora.pc)")
LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_PATH")
export PKG_CONFIG_PATH LD_LIBRARY_PATH

rm -rf "$work"
mkdir -p "$work"
servers=$(mktemp -d)
pids=()
end_servers() {
    [[ ${#pids[@]} -eq 0 ]] || kill -KILL "${pids[@]}" 2>/dev/null || true
    { wait; } 2>/dev/null
    rm -rf "$servers"
}
trap end_servers EXIT

# start TEXT SERVER... : starts it and waits until it says TEXT; sets `said` to the line with it.
start() {
    local text=$1 name=$2 log
    shift
    log=$servers/$name.pipe
    mkfifo "$log"
    "$@" >"$log" 2>&1 &
    pids+=($!)
    exec {from}<"$log"
    while IFS= read -r -t 30 -u "$from" said; do
        [[ $said != *"$text"* ]] || break
    done
    [[ $said == *"$text"* ]] || { echo "$name did not start: $said"; exit 1; }
    cat <&"$from" >/dev/null &
    pids+=($!)
}

read -ra compile < <(pkg-config --cflags metafora)
"${CC:-cc}" -std=c11 -Wall -Wextra -pedantic -Werror "${compile[@]}" \
    -c "$here/outside/counter.c" -o "$work/counter.o"
before=$(sha256sum "$work/counter.o")
for broker in redis etcd; do
    read -ra link < <(pkg-config --libs "metafora-$broker")
    "${CC:-cc}" "$work/counter.o" "${link[@]}" -o "$work/counter-$broker"
done

start 'eady to accept connections' redis-server --port 0 --unixsocket "$servers/redis.sock" \
    --save '' --appendonly no --dir "$servers"
"$work/counter-redis" "unix://$servers/redis.sock"

# Its ports are the kernel's choice, and it says which.
any=http://127.0.0.1:0
start '"msg":"serving client traffic' etcd --data-dir "$servers/etcd" --logger=zap \
    --log-outputs=stderr --enable-grpc-gateway=false \
    --listen-client-urls "$any" --advertise-client-urls "$any" --listen-peer-urls "$any" \
    --initial-advertise-peer-urls "$any" --initial-cluster "default=$any"
address=${said##*\"address\":\"}
"$work/counter-etcd" "etcd://${address%%\"*}"

# Each has its own broker only.
if "$work/counter-redis" etcd://127.0.0.1:1 || "$work/counter-etcd" redis://127.0.0.1:1; then
    echo "a program has a driver that it was not linked with"
    exit 1
fi
[[ $before == "$(sha256sum "$work/counter.o")" ]]

#!/usr/bin/env bash
# What may include what: arrows point down only.
# usage: layers.sh SOURCE-TREE
set -euo pipefail
cd "$1"
status=0

# forbid WHAT PATTERN FILES...
forbid() {
    local what=$1 pattern=$2
    shift 2
    if grep -nE "#[[:space:]]*include[[:space:]]*[<\"]($pattern)" "$@"; then
        echo "$what"
        status=1
    fi
}

mapfile -t core < <(find src -name '*.[ch]' -not -path 'src/net/*' -not -path 'src/cli/*' -not -path 'src/process/*')
mapfile -t pure < <(printf '%s\n' "${core[@]}" | grep -v '^src/loop/')
mapfile -t net < <(find src/net -name '*.[ch]')
mapfile -t process < <(find src/process -name '*.[ch]')
mapfile -t drivers < <(find coordinator-* -name '*.[ch]')
mapfile -t balancers < <(find src/balancer -name '*.[ch]')
mapfile -t public < <(find include -name '*.h')

forbid "the core knows no broker" 'hiredis|nghttp2|protobuf|openssl' "${core[@]}"
forbid "the core opens no socket" 'net/|sys/socket|netinet|netdb' "${core[@]}"
forbid "only src/loop knows libevent" 'event2?[/.]' "${pure[@]}"
forbid "the core includes no driver" '(\.\./)*coordinator-' "${core[@]}"
forbid "a balancer sees its context only" 'consumer|coordinator|metafora/(driver|broker|client)' \
    /dev/null "${balancers[@]}"
forbid "a connection knows no protocol" 'hiredis|nghttp2|consumer|coordinator' /dev/null "${net[@]}"
forbid "the processes stand beside the core" 'consumer/|coordinator/|state/|net/|hiredis|nghttp2' "${process[@]}"
forbid "a driver knows no consumer" 'consumer/|metafora/consumer|coordinator/' /dev/null "${drivers[@]}"
forbid "the public headers need nothing but the C library" \
    'event2|hiredis|cJSON|cjson|openssl|utlist|uthash|pthread' "${public[@]}"
exit "$status"

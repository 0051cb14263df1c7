#!/usr/bin/env bash
# Builds the outside project against an installed tree by find_package, and runs it.
# usage: with-cmake.sh INSTALLED WORK BROKER FORM   (FORM: shared or static)
set -euo pipefail
installed=$1 work=$2 broker=$3 form=$4
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

suffix=
[[ $form == shared ]] || suffix=-static
rm -rf "$work"
cmake -S "$here/outside" -B "$work" -G Ninja -DCMAKE_PREFIX_PATH="$installed" \
    -DCMAKE_BUILD_TYPE=Debug -DBROKER="$broker" -DFORM="$suffix"
cmake --build "$work"

# Nothing listens on port 1: opening makes a handle, the loop the connection.
url=$broker://127.0.0.1:1
[[ $broker != embedded ]] || url=embedded://
"$work/app" "$broker" "$url"
"$work/app++" "$broker" "$url"
"$work/process"
uses_core=$(readelf --dynamic "$work/app" | grep -c 'NEEDED.*libmetafora\.so\.0' || true)
[[ $form == static && $uses_core -eq 0 || $form == shared && $uses_core -eq 1 ]]

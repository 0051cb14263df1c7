#!/usr/bin/env bash
# A program that links the core and no driver must fail to link, by an error that says what it lacks.
# usage: without-driver.sh INSTALLED WORK
set -euo pipefail
installed=$1 work=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
library=$(dirname "$(find "$installed" -name 'libmetafora.a')")

mkdir -p "$work"
"${CC:-cc}" -std=c11 -I"$installed/include" -c "$here/outside/app.c" -o "$work/app.o"
for core in libmetafora.so libmetafora.a; do
    if "${CC:-cc}" "$work/app.o" -L"$library" -l:"$core" \
        -levent_core -levent_pthreads -lcjson -pthread -o "$work/app" 2>"$work/errors"; then
        echo "$core: linked without a driver"
        exit 1
    fi
    if grep 'undefined reference' "$work/errors" | grep -v mf_linked_driver; then
        echo "$core: more is missing than the driver"
        exit 1
    fi
    grep -q 'undefined reference to .mf_linked_driver' "$work/errors"
done

#!/usr/bin/env bash
# The shared libraries export names that begin with mf_ and nothing else, none of the private ones
# that begin with mf__, and carry SONAME 0.1.
# usage: symbols.sh INSTALLED
set -euo pipefail
status=0
count=0

for library in "$1"/lib*/libmetafora*.so "$1"/lib*/*/libmetafora*.so; do
    [[ -e $library ]] || continue
    count=$((count + 1))
    name=$(basename "$library")
    if nm --dynamic --defined-only "$library" | awk '{ print $3 }' | grep -v '^mf_[^_]'; then
        echo "$name: exports the above"
        status=1
    fi
    if ! readelf --dynamic "$library" | grep -q "SONAME.*\[$name\.0\.1\]"; then
        echo "$name: its SONAME is not $name.0.1"
        status=1
    fi
done
[[ $count -gt 0 && $status -eq 0 ]]

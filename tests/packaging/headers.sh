#!/usr/bin/env bash
# Each public header must compile alone, as strict C11 and C++11, also when included twice.
# usage: headers.sh INCLUDE-DIRECTORY
set -euo pipefail
include=$1
strict=(-Wall -Wextra -Wstrict-aliasing -Wconversion -pedantic -Werror -fsyntax-only -I"$include")
count=0

for header in "$include"/metafora/*.h; do
    name=metafora/$(basename "$header")
    source=$(printf '#include <%s>\n#include <%s>\nextern int not_empty;\n' "$name" "$name")
    "${CC:-cc}" -std=c11 -Wstrict-prototypes "${strict[@]}" -x c - <<<"$source"
    "${CXX:-c++}" -std=c++11 -Wold-style-cast "${strict[@]}" -x c++ - <<<"$source"
    count=$((count + 1))
done
echo "$count headers"
[[ $count -gt 0 ]]

#!/usr/bin/env bash
# Links one and the same object with the libraries of an installed tree by pkg-config, and runs it.
# usage: with-pkg-config.sh INSTALLED WORK BROKER FORM [LINKER OPTION...]
set -euo pipefail
installed=$1 work=$2 broker=$3 form=$4
shift 4
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
library=$(dirname "$(find "$installed" -name metafora.pc)")
export PKG_CONFIG_PATH=$library
package=metafora-$broker

flags() {
    pkg-config "$@" | tr ' ' '\n'
}

mkdir -p "$work"
object=$work/app.o
# The flags must not depend on the broker: that is what makes the choice one of linking.
mapfile -t compile < <(flags --cflags metafora)
"${CC:-cc}" -std=c11 -Wall -Wextra -pedantic -Werror "${compile[@]}" -c "$here/outside/app.c" -o "$object"

if [[ $form == static ]]; then
    mapfile -t link < <(flags --static --libs "$package" |
        sed 's/^-l\(metafora.*\)/-l:lib\1.a/')
else
    mapfile -t link < <(flags --libs "$package")
fi
"${CC:-cc}" "$@" "$object" "${link[@]}" -o "$work/app"
LD_LIBRARY_PATH=$(dirname "$library") "$work/app" "$broker"

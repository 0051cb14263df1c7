#!/usr/bin/env bash
# Compiles a program once and links that one object with each broker's library of an installed tree,
# by pkg-config, and runs them.
# usage: with-pkg-config.sh INSTALLED WORK FORM BROKER...   (FORM: shared, as-needed or static)
set -euo pipefail
installed=$1 work=$2 form=$3
shift 3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PKG_CONFIG_PATH=$(dirname "$(find "$installed" -name metafora.pc)")
export PKG_CONFIG_PATH
LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_PATH")
export LD_LIBRARY_PATH

mkdir -p "$work"
read -ra compile < <(pkg-config --cflags metafora)
"${CC:-cc}" -std=c11 -Wall -Wextra -pedantic -Werror "${compile[@]}" \
    -c "$here/outside/app.c" -o "$work/app.o"
"${CC:-cc}" -std=c11 -Wall -Wextra -pedantic -Werror "${compile[@]}" \
    -c "$here/outside/process.c" -o "$work/process.o"

# flags PACKAGE... : sets `link`.
flags() {
    case $form in
    static) read -ra link < <(pkg-config --static --libs "$@" | sed -E 's/-l(metafora\S*)/-l:lib\1.a/g') ;;
    as-needed) read -ra link < <(echo -Wl,--as-needed "$(pkg-config --libs "$@")") ;;
    *) read -ra link < <(echo -Wl,--no-as-needed "$(pkg-config --libs "$@")") ;;
    esac
}

for broker in "$@"; do
    flags "metafora-$broker"
    "${CC:-cc}" "$work/app.o" "${link[@]}" -o "$work/app-$broker"
    # Nothing listens on port 1: opening makes a handle, the loop the connection.
    url=$broker://127.0.0.1:1
    [[ $broker != embedded ]] || url=embedded://
    "$work/app-$broker" "$broker" "$url"

    flags metafora-process "metafora-$broker"
    "${CC:-cc}" "$work/process.o" "${link[@]}" -o "$work/process-$broker"
    "$work/process-$broker"
done

#!/usr/bin/env bash
# metaforactl as it is installed: with all the rest, and alone as a component.
# usage: metaforactl.sh INSTALLED WORK BUILD
set -euo pipefail
installed=$1 work=$2 build=$3

rm -rf "$work"
cmake --install "$build" --prefix "$work" --component metaforactl >/dev/null
for tree in "$installed" "$work"; do
    "$tree/bin/metaforactl" --version | grep -q '^metaforactl [0-9]'
    test -s "$tree/share/man/man1/metaforactl.1"
done
for file in bash-completion/completions/metaforactl zsh/site-functions/_metaforactl \
    fish/vendor_completions.d/metaforactl.fish; do
    test -s "$work/share/$file"
done
# As bash-completion reads it: by the name of the command, which is in the path then.
PATH=$work/bin:$PATH bash -c '. "$1"; complete -p metaforactl' - \
    "$work/share/bash-completion/completions/metaforactl" | grep -q _metaforactl
if [[ -e $work/bin/koalemosctl ]]; then
    echo "the component has more than metaforactl"
    exit 1
fi
# It has every driver: what it is refused is the connection, not the URL.
for url in redis://127.0.0.1:1 etcd://127.0.0.1:1; do
    status=0
    "$work/bin/metaforactl" nodes --broker "$url" --namespace ns --log none || status=$?
    [[ $status -eq 3 ]]
done

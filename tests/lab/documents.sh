# Documents of testdata and of the nasty strings, made by the program on a node and staged there by yip. For `yip` and `reader`.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# make_documents DIR: a node at DIR with /docs/NAME.yaml, and cases in /cases. In a document every staged file is put below
# /t/NAME, so that one run of yip stages them all; nothing else of it is changed.
make_documents() {
    local node=$1 root=$1/root case name
    make_node "$node"
    mkdir -p "$root"/{cases,docs,t} "$node/run/systemd/system"
    for case in "$repository"/testdata/{events,merge}/*/cloud-config.yaml; do
        name=$(basename "$(dirname "$case")")
        case $case in
        */events/*) cp "$case" "$root/cases/event-$name.yaml" ;;
        *) cp "$case" "$root/cases/merge-$name.yaml" ;;
        esac
    done
    mkdir "$root/nasty"
    cp "$repository/testdata/recorded/nasty-strings.json" "$root/"
    chroot "$root" /usr/bin/rke2 nasty-configs /nasty-strings.json /nasty 150
    for case in "$root"/nasty/*; do mv "$case" "$root/cases/nasty-$(basename "$case")"; done
    initramfs "$node" bash -euc '
        shopt -s nullglob
        for case in /cases/*.yaml; do
            name=$(basename "$case" .yaml)
            if /system/providers/agent-provider-rke2 render --show-secrets "$case" >/docs/$name 2>/cases/$name.log && [ -s /docs/$name ]; then
                sed "s|path: \"\\?/run/provider-rke2|&@|; s|/run/provider-rke2@|/t/$name/run/provider-rke2|" /docs/$name >/docs/$name.yaml
            elif [ "${name#nasty}" != "$name" ]; then
                echo "$name is refused:"
                cat /cases/$name.log
                exit 1
            fi
            rm -f /docs/$name
        done
        mkdir /real
        mv /system/providers/agent-provider-rke2 /real/
        printf "#!/bin/sh\necho \"\$*\" >>/t/.applied\n" >/system/providers/agent-provider-rke2
        chmod +x /system/providers/agent-provider-rke2'
}

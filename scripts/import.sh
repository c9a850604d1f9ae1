#!/bin/sh
# Imports the image archives below DIR into RKE2's image directory: import.sh DIR
# For callers that know this path. The work is done by agent-provider-rke2 apply images, or here where that is not on the image.
# It is written anew at each boot.
[ $# -eq 1 ] || {
    echo "usage: $0 DIR" >&2
    exit 2
}
directory=$(CDPATH='' cd -- "$1" 2>/dev/null && pwd) || directory=$1
case $0 in */*) here=${0%/*} ;; *) here=. ;; esac
here=$(CDPATH='' cd -- "$here" && pwd) || exit 1
# shellcheck source=scripts/common.sh
. "$here/common.sh"
hand_over apply images --from "$directory"

[ -d "$directory" ] || {
    say "$directory: there is no such directory, so no images are imported"
    exit 0
}
find_data
agent=$data/agent
images=$agent/images
# As RKE2 makes them.
(umask 077 && mkdir -p "$images") || refuse "$images: cannot be made; see the line before"
# Renaming is at once only within one mount.
staging=$agent/.provider-rke2
escaped=$(printf '%s\n' "$images" | sed 's/ /\\040/g')
! mounts "$agent" | sed 's/.* //' | grep -qxF -e "$escaped" || staging=$images/.provider-rke2
work=$staging/run.$$
for left in "$staging"/run.*; do
    kill -0 "${left##*.}" 2>/dev/null || rm -rf "$left"
done
trap 'rm -rf "$work"; rmdir "$staging" 2>/dev/null' EXIT
trap 'exit 1' HUP INT TERM
(umask 077 && mkdir -p "$work/seen") || refuse "$work: cannot be made; see the line before"

# Run by find, so that any name is safe. RKE2 sees only final names, whole.
# shellcheck disable=SC2016
copy='
    . "$here/common.sh"
    for file; do
        archive=${file##*/}
        target=$images/$archive
        file=${file#./}
        told=$(stat -L -c "%s %Y" "./$file" 2>/dev/null) && [ -f "./$file" ] || {
            failed "$file: cannot be read; put the archive itself there"
            continue
        }
        is_first=true
        mkdir "$work/seen/$archive" 2>/dev/null || is_first=false
        [ "$(stat -L -c "%s %Y" "$target" 2>/dev/null)" != "$told" ] || continue
        if ! $is_first; then
            failed "$file: another archive has the same name; rename one of them"
        elif [ -d "$target" ]; then
            failed "$file: $target is a directory; remove it"
        elif ! why=$({ cp -p "./$file" "$work/copy" && { sync "$work/copy" 2>/dev/null || sync; } &&
            mv -f "$work/copy" "$target"; } 2>&1); then
            failed "$file: was not imported: ${why##*: }; correct that and call it again"
        else
            say "$file: imported"
        fi
    done
    [ "$status" = 0 ] || : >"$work/failed"
'
export here images work
# Lists of checksums are no lists of images.
cd -- "$directory" && find -L . -name '.?*' -prune -o \( -type f -o -type l \) ! -name 'sha256sum*.txt' \( -name '*.tar' \
    -o -name '*.tar.gz' -o -name '*.tgz' -o -name '*.tar.zst' -o -name '*.tzst' -o -name '*.tar.bz2' -o -name '*.tbz' \
    -o -name '*.tar.lz4' -o -name '*.txt' \) -exec sh -c "$copy" "$0" {} + ||
    [ -e "$work/failed" ] || failed "$directory: could not be searched completely; see the line before"
[ ! -e "$work/failed" ] || status=1
[ "$status" = 1 ] || [ -n "$(ls -A "$work/seen")" ] || say "$directory: holds no archive of images, so none is imported"
exit "$status"

. /lab/scenario/verify.sh
within 5 is_active rke2-server
must trusted
equal "$(stat -c %y "$image")" stat -c %y "$bundle"
equal "$(mode "$image")" mode "$bundle"
must cmp -n "$(stat -c %s "$image")" "$image" "$bundle"
remember "$bundle"
must "$provider" apply trust
must unchanged "$bundle"

. /lab/scenario/verify.sh
within 5 is_active rke2-server
must cmp "$image" "$bundle"

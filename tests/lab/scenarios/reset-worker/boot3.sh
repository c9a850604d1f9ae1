. /lab/reset.sh
third_boot

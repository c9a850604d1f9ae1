. /lab/reset.sh
first_boot rke2-server

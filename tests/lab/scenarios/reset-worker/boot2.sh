. /lab/reset.sh
second_boot rke2-agent

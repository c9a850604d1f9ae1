#!/bin/sh
INSTALL_RKE2_ROOT="/usr/local"
rm -f /usr/local/lib/systemd/system/rke2*.service /usr/local/bin/rke2

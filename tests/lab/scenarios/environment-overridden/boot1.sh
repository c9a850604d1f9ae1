sleep 1
equal 0 starts rke2-server
for file in /var/log/provider-rke2.log /etc/issue.d/50-provider-rke2.issue; do
    must has 'RKE2_URL: stands in /etc/sysconfig/rke2-server' "$file"
    must has 'RKE2_TOKEN: stands in /etc/sysconfig/rke2-server' "$file"
done
must_not systemctl is-active rke2-server
must systemctl start rke2-server
equal 0 starts rke2-server

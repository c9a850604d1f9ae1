sleep 1
equal 0 starts rke2-server
for file in /var/log/provider-rke2.log /etc/issue.d/50-provider-rke2.issue; do
    for variable in RKE2_URL RKE2_TOKEN; do
        must has "$variable: stands in a file that RKE2 reads after " "$file"
    done
    must has "(/etc/sysconfig/rke2-server line " "$file"
done
must_not systemctl is-active rke2-server
must systemctl start rke2-server
equal 0 starts rke2-server

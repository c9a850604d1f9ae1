# The newer image: the data is copied before RKE2 starts.
within 5 is_active rke2-server
server=/var/lib/rancher/rke2/server
must has 'RKE2 v1.37.1' $server/db/etcd/member/snap/db
must_not has 'RKE2 v1.37.1' $server/db-before-v1.37.1+rke2r1/etcd/member/snap/db
must has 'of 1.36' $server/db-before-v1.37.1+rke2r1/etcd/member/snap/db
must has "mv db-before-v1.37.1+rke2r1 db" <("$provider" status)
must status_is ok
remember $server/db-before-v1.37.1+rke2r1/etcd/member/snap/db
systemctl restart rke2-server
within 5 is_active rke2-server
must unchanged $server/db-before-v1.37.1+rke2r1/etcd/member/snap/db

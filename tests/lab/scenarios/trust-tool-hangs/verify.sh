bundle=/etc/ssl/certs/ca-certificates.crt
# trusted NAME: what that CA has signed is accepted, by the bundle and by the directory.
trusted() {
    openssl verify -no-CApath -CAfile "$bundle" "/etc/site/leaf-$1.pem" &&
        openssl verify -no-CAfile -CApath /etc/ssl/certs "/etc/site/leaf-$1.pem"
}
# neither NAME: by none of them.
neither() {
    ! openssl verify -no-CApath -CAfile "$bundle" "/etc/site/leaf-$1.pem" &&
        ! openssl verify -no-CAfile -CApath /etc/ssl/certs "/etc/site/leaf-$1.pem"
}
certificates() { grep -c BEGIN "$bundle"; }
runs() { grep -c 'ran update-ca-certificates' /var/log/provider-rke2.log; }

bundle=/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem
trusted() { openssl verify -no-CApath -CAfile "$bundle" "/etc/site/leaf-$1.pem"; }

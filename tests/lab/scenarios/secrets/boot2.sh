# Everything wrong at once: many sentences, and none of them quotes a secret.
must test -s /run/provider-rke2/refused
equal 0 starts rke2-server

# A piece each second, for four seconds.
for piece in 1 2 3 4; do
    sleep 1
    tail -c +100001 /opt/arriving.tar | tail -c "+$((100000 * (piece - 1) + 1))" | head -c "$([ $piece = 4 ] && echo 999999 || echo 100000)" >>/opt/content/images/arriving.tar
done

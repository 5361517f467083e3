# shellcheck shell=bash
# boots: 3
# images: 2
# share: /var/lib/c2c-authd /var/lib/systemd /etc/credstore.encrypted /etc/c2c-authd/config.d
# Two images take turns on one state partition, as at an update and at its rollback. In the second one the user of the daemon has
# another uid, which is what happens when an image gains or loses a user: the pairing is kept both ways.

sim_outside
case $phase in
1)
    provision
    systemctl enable --now "$UNIT"
    soon ip route get 10.99.0.1
    pair
    next_boot systemctl poweroff
    ;;
*)
    install --mode=644 "$SIM_DIR/ca.pem" /etc/c2c-authd/ca.pem
    systemctl restart "$UNIT"
    expect "owner of the record" "$(stat --format=%U "$STATE/record.0")" c2c-authd
    expect "state" "$(state)" paired
    soon serves_live
    # The other image has to read what this one writes.
    soon ip route get 10.99.0.1
    sim end-access-token "$CLIENT"
    rejected "$((phase - 1))"
    soon serves_live
    if [ "$phase" = 2 ]; then
        [ "$(stat --format=%u "$STATE")" = 977 ] || die "this is not the second image"
        next_boot systemctl poweroff
    fi
    ;;
esac

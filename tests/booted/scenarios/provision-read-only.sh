# shellcheck shell=bash
# boots: 2
# volatile: state
# share: /var/lib/c2c-authd /var/lib/c2c-provision /var/lib/systemd
# The production line's step on an image whose /etc is read-only: secrets and client id go below /var, and are found again in the
# next boot, by systemd and by the daemon. Where nothing could be written it is said before the secret is asked for.

# The image's own configuration, read-only as everything in /etc.
mount -t tmpfs tmpfs /etc/c2c-authd
sim_outside
device
mount -o remount,ro /etc/c2c-authd
if touch /etc/written /etc/c2c-authd/written 2>/dev/null; then
    die "/etc can be written"
fi
provisions() { c2c-authctl provision "$@" <"$SIM_DIR/client-secret"; }

if [ "$phase" = 1 ]; then
    systemctl enable --runtime --now "$UNIT"
    soon ip route get 10.99.0.1
    expect "reason" "$(property Pairing PairingReason)" client-id-missing
    # Nothing to write to at all: said at once, without a word from the pipe, which stays open.
    mount --bind -o ro /usr /var/lib/c2c-provision
    code=0
    said=$(timeout 60 c2c-authctl provision --with-key host 2>&1 < <(exec sleep 120 2>/dev/null)) || code=$?
    expect "exit code where nothing can be written" "$code" 1
    expect_like "what it says" "$said" '/etc/credstore.encrypted is on a read-only file system.*Nothing was changed'
    umount /var/lib/c2c-provision
    code=0
    said=$(timeout 60 c2c-authctl provision --files /var/tmp/secrets 2>&1 < <(exec sleep 120 2>/dev/null)) || code=$?
    expect "exit code of a directory that the unit hides" "$code" 1
    expect_like "what it says" "$said" 'PrivateTmp='

    report=$(provisions --with-key host --client-id "$CLIENT" --json)
    expect "what was done" "$(jq --compact-output '[."client-secret", ."state-key", ."client-id", .place, .unit]' <<<"$report")" \
        '["stored","stored","stored","/var/lib/c2c-provision/credstore.encrypted","restarted"]'
    pair
    expect_like "the same again" "$(provisions --with-key host --client-id "$CLIENT")" '^Nothing to do'
    next_boot systemctl reboot
else
    [ -L /run/credstore.encrypted/c2c-authd.client-secret ] || die "nobody linked to the secrets at boot"
    # It is enabled, and may have started before the configuration was put there.
    systemctl restart "$UNIT"
    expect "state" "$(state)" paired
    soon serves_live
    # And everything away again.
    c2c-authctl factory-reset --yes --provisioning --forget-revocations --wait 1s || true
    expect "what is left" "$(find /var/lib/c2c-provision -type f)" ""
    expect "reason" "$(property Pairing PairingReason)" client-id-missing
fi

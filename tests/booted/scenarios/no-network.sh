# shellcheck shell=bash
# Started without a network: READY all the same, callers are told `Offline` within their time, and the code is there as soon as
# systemd-networkd has an address: long before the next try that the journal announced (the kernel's news by netlink, under the
# sandbox). The network has no way out of it: the address alone must do.

sim_outside
provision
refuses_route() { ! ip route get 10.99.0.1; }
unplugged() {
    systemctl stop systemd-networkd.socket systemd-networkd.service
    ip address flush dev host0
    soon refuses_route
}
unplugged

systemctl start "$UNIT"
expect "the unit" "$(unit ActiveState)" active
refuses Offline start_pairing 1 timeout u 5
expect "state" "$(state)/$(property Pairing PairingReason)" requesting-code/offline
expect_like "the sentence" "$(unit StatusText)" '^Asking the server for a pairing code'

# The pause before the next try is drawn between 5 and 30 s. One of which much is left is waited for.
now() { date +%s%6N; }
long_pause() {
    local last
    last=$(entries | jq --slurp --raw-output \
        'map(select(.C2C_EVENT == "code-request-failed")) | last | "\(.__REALTIME_TIMESTAMP) \(.MESSAGE)"')
    failed=${last%% *}
    pause=$(sed -n 's/.*Trying again in \([0-9]*\) s\.$/\1/p' <<<"$last")
    [ -n "$pause" ] && [ $((pause * 1000000 - ($(now) - failed))) -ge 12000000 ]
}
asked() {
    start_pairing 1 timeout u 1 >/dev/null 2>&1 || true
    state
}
for round in {1..5}; do
    within 200 long_pause
    systemctl start systemd-networkd.service
    soon ip route get 10.99.0.1
    plugged=$(($(now) - failed))
    soon is awaiting-user state
    shown=$(($(event code-shown __REALTIME_TIMESTAMP) - failed))
    printf 'a pause of %d s: the address was there after %d ms, the code after %d ms\n' "$pause" $((plugged / 1000)) $((shown / 1000))
    [ "$shown" -gt $(((pause - 2) * 1000000)) ] || break
    # An address that was late itself says nothing: once more.
    if [ $((pause * 1000000 - plugged)) -ge 8000000 ] || [ "$round" = 5 ]; then die "nobody heard of the address before the pause was over"; fi
    call ui Pairing CancelPairing
    unplugged
    soon is requesting-code asked
done
sim approve any
soon is paired state
soon serves_live

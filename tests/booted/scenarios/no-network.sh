# shellcheck shell=bash
# Started without a network: READY all the same, callers are told `Offline` within their time, and the code is there as soon as
# systemd-networkd has an address, well before the retry 15 s after the failure (the kernel's news by netlink, under the sandbox).
# The network has no way out of it: the address alone must do.

sim_outside
provision
systemctl stop systemd-networkd.socket systemd-networkd.service
ip address flush dev host0
refuses_route() { ! ip route get 10.99.0.1; }
within 5 refuses_route

systemctl start "$UNIT"
expect "the unit" "$(unit ActiveState)" active
refuses Offline start_pairing 1 timeout u 5
expect "state" "$(state)/$(property Pairing PairingReason)" requesting-code/offline
expect_like "the sentence" "$(unit StatusText)" '^Asking the server for a pairing code'

systemctl start systemd-networkd.service
within 9 is awaiting-user state
sim approve any
within 15 is paired state
expect "the token" "$(token)" "$(sim live "$CLIENT" access)"

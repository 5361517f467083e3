# shellcheck shell=bash
# The end of an ownership: the server hears of it, the daemon forgets, the provisioning stays or, asked to, goes. Without a
# network nothing that is owed to the server is lost silently; with the daemon dead it works by files and says so.

sim_start
device
provisioned() { c2c-authctl provision --with-key host --client-id "$CLIENT" --replace <"$SIM_DIR/client-secret" >/dev/null; }
# resets CODE ARGUMENT…: its report
resets() {
    local code=0
    c2c-authctl factory-reset --yes --json "${@:2}" || code=$?
    expect "exit code" "$code" "$1" >&2
}
files() { find "$STATE" -mindepth 1 -printf '%f\n' | sort | tr '\n' ' '; }

provisioned
systemctl start "$UNIT"
pair
code=0
c2c-authctl factory-reset </dev/null || code=$?
expect "exit code with nobody to ask" "$code" 2
report=$(resets 0)
expect "server" "$(jq --raw-output .server <<<"$report")" told
expect "revocations" "$(sim count revocations)" 1
expect "the unit" "$(unit ActiveState)" active
expect "state" "$(state)/$(property Pairing PairingReason)" unpaired/unpaired
expect "what is left" "$(files)" 'record.0 record.1 '
resets 0 --clock >/dev/null
expect "reason" "$(property Pairing PairingReason)" never-paired
expect "what is left" "$(files)" ''

# Offline: owed, kept, and paid when the network is back.
pair
sim refuse
report=$(resets 9 --wait 1s)
expect "server" "$(jq --raw-output .server <<<"$report")" pending
expect_like "what is left" "$(files)" 'revocations'
report=$(resets 9 --wait 1s --provisioning)
expect "held back" "$(jq '."held-back"' <<<"$report")" true
[ -e /etc/credstore.encrypted/c2c-authd.state-key ] || die "the key is gone, with what the server has yet to hear"
sim accept
systemctl restart "$UNIT"
soon is 2 sim count revocations

# Offline and in earnest.
pair
sim refuse
report=$(resets 9 --wait 1s --provisioning --forget-revocations)
expect "server" "$(jq --raw-output .server <<<"$report")" not-told
sim accept
expect "what is left" "$(files)" ''
expect "secrets" "$(find /etc/credstore.encrypted -type f | wc -l)" 0
expect "state" "$(state)/$(property Pairing PairingReason)" unprovisioned/client-id-missing

# The daemon is dead of its configuration.
provisioned
pair
configure 99-bad <<<'[refresh]
at = "often"'
systemctl restart "$UNIT" 2>/dev/null && die "it started"
report=$(resets 9)
expect "server" "$(jq --raw-output .server <<<"$report")" not-told
expect_like "warnings" "$(jq --raw-output '.warnings[]' <<<"$report")" 'the daemon did not unpair'
expect "what is left" "$(files)" ''

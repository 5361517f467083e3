# shellcheck shell=bash
# boots: 6
# images: 3
# The model's secret is replaced by the commands of docs/secret.md on a fleet of three cameras: the server takes both secrets, then
# the new one alone. The camera that got it in time sees nothing; the late one is told and keeps its pairing, and its next refresh
# works at once when it has the secret; the third pairs with it. Nobody pairs again.

sim_outside
CLIENT=SIM-00000$(((phase - 1) % 3))
newest() { sim secrets | tail -n 1; }
# has_newest CODE: what a camera says that is asked whether it has the newest secret.
has_newest() {
    local code=0
    newest | c2c-authctl provision --with-key host || code=$?
    expect "exit code of provision" "$code" "$1"
}
replace() {
    # The disk of these systems lies in memory, so that the key has to be asked for.
    newest | c2c-authctl provision --with-key host --replace
    systemctl restart "$UNIT"
    has_newest 0
}
state_and_reason() { printf "%s/%s\n" "$(state)" "$(property Pairing PairingReason)"; }
next_camera() { next_boot systemctl poweroff; }

case $phase in
1 | 2)
    provision
    # The package has enabled it: it runs already, with nothing.
    systemctl restart "$UNIT"
    soon ip route get 10.99.0.1
    pair
    next_camera
    ;;
3)
    provision
    # The package has enabled it: it runs already, with nothing.
    systemctl restart "$UNIT"
    expect "state" "$(state)" unpaired
    next_camera
    ;;
4)
    soon ip route get 10.99.0.1
    sim secret replace
    has_newest 8
    before=$(token)
    replace
    expect "the token" "$(token)" "$before"
    sim end-access-token "$CLIENT"
    rejected 1
    soon serves_live
    sim secret end-old
    expect "attention" "$(property Pairing AttentionNeeded)" false
    c2c-authctl check
    next_camera
    ;;
5)
    soon ip route get 10.99.0.1
    # The token that it has is served to its end.
    soon serves_live
    sim end-access-token "$CLIENT"
    call uploader Tokens RejectAccessToken t 1 || true
    soon is client-rejected property Pairing PairingReason
    expect "pairing and attention" "$(property Pairing Paired)/$(property Pairing AttentionNeeded)" true/true
    refuses ClientRejected call uploader Tokens GetAccessToken u 0
    code=0
    said=$(c2c-authctl check) || code=$?
    expect "exit code of check" "$code" 1
    expect_like "what check says first" "$(tail -n 1 <<<"$said")" 'Fix first: .*its secret'
    has_newest 8
    replace
    soon is 2 generation
    soon serves_live
    expect "reason" "$(property Pairing PairingReason)" none
    next_camera
    ;;
6)
    soon ip route get 10.99.0.1
    refuses ClientRejected start_pairing 0
    soon is unpaired/client-rejected state_and_reason
    replace
    pair
    expect "pairings" "$(sim count pairings)" 3
    expect "complaints of the server" "$(sim violations)" ""
    ;;
esac

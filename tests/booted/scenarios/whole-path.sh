# shellcheck shell=bash
# The whole job under the shipped sandbox: encrypted credentials, TLS, pairing, a token, a refresh, a rejection that the server
# confirms, unpairing with revocation; the caller's unit asked of systemd1; the server has nothing to complain of.

world
expect "state at first" "$(state)" unpaired
pair
# The server is asked for the name of the project when the pairing is done.
soon like '^Paired with "Testbed"' unit StatusText
first=$(token)
expect "the token" "$first" "$(sim live "$CLIENT" access)"
expect "generation" "$(generation)" 1
expect "device name" "$(property Device DeviceName)" "Sim-C2C-Camera-$CLIENT"

# The caller is in a unit of its own, which is still there when systemd is asked for it.
systemd-run --quiet --collect --unit=uploader-of-clips --uid=both /booted/guest/uploader
soon is uploader-of-clips.service event token-handed-out C2C_CALLER_UNIT
systemctl stop uploader-of-clips.service

# A 401 that is true: one refresh, another token.
sim end-access-token "$CLIENT"
rejected 1
expect "generation" "$(generation)" 2
second=$(token)
expect "the new token" "$second" "$(sim live "$CLIENT" access)"
[ "$first" != "$second" ] || die "the dead token was handed out again"
expect "refreshes" "$(sim count refreshes-committed)" 1

# A 401 that is not: no refresh.
call uploader Tokens RejectAccessToken t 2
expect "refreshes" "$(sim count refreshes)" 1

call ui Pairing Unpair
soon is 1 sim count revocations
expect "state" "$(state)" unpaired
refuses NotPaired call uploader Tokens GetAccessToken u 0
expect "complaints of the server" "$(sim violations)" ""

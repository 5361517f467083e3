# shellcheck shell=bash
# A server of the standard (RFC 8628) under the shipped unit: a public client that has no secret, found by the server's description of
# itself; paired by a code, refreshed by itself, the same token after systemd restarted it, a rejection, the end told to the server.

standard_start
sim access-life 40
standard_device oauth-device
configure 50-refresh <<<$'[refresh]\nat = "10%"'
systemctl start "$UNIT"
expect "state at first" "$(state)" unpaired
pair
sim takes "$(token)"
soon at_least 3 generation
settled
held=$(generation)
first=$(token)
sim takes "$first"

systemctl restart "$UNIT"
expect "state after a restart" "$(state)" paired
expect "the token after a restart" "$(token)" "$first"
expect "the generation" "$(generation)" "$held"

# There is no resource to ask whether it is true: the rejection counts.
call uploader Tokens RejectAccessToken t "$held"
soon is "$((held + 1))" generation
second=$(token)
[ "$second" != "$first" ] || die "the dead token was handed out again"
sim takes "$second"

call ui Pairing Unpair
soon is 1 sim seen 'POST /revoke'
expect "grants that live" "$(sim grants)" 0
expect "state" "$(state)" unpaired
refuses NotPaired call uploader Tokens GetAccessToken u 0
expect "what no client may send" "$(sim violations)" ""

# shellcheck shell=bash
# A configuration that is wrong ends in 78, once: no restart, no limit that hides the reason, and `systemctl status` still shows
# the sentence that names file and key. A call over the bus does not loop either. Put right, it starts.

world
systemctl stop "$UNIT"
configure 50-wrong <<<$'[refresh]\nat = "soon"'
if systemctl start "$UNIT" 2>/tmp/said; then
    die "it started"
fi
expect "result" "$(unit Result)" exit-code
expect "code" "$(unit ExecMainStatus)" 78
expect "restarts" "$(unit NRestarts)" 0
expect_like "the sentence" "$(systemctl status --no-pager "$UNIT" || true)" '50-wrong\.toml.*refresh\.at'
soon like '50-wrong\.toml.*refresh\.at' event failed
expect "its priority" "$(event failed PRIORITY)" 3

# A bus that waits for the unit to come up after all is not waited for.
ends() { entries | jq --raw-output 'select(.C2C_EVENT == "failed") | .MESSAGE' | wc -l; }
expect "tries so far" "$(ends)" 1
if as ui busctl --system --timeout=2 call "$NAME" "$OBJECT" "$NAME.Pairing" CancelPairing 2>/tmp/said; then
    die "a call was answered"
fi
# The call was one more try, and no other is to come: then it would be `activating`.
soon at_least 2 ends
soon is failed unit ActiveState
expect "result after a call" "$(unit Result)/$(unit ExecMainStatus)" exit-code/78
expect "tries with the call" "$(ends)" 2

rm "$CONFIG/50-wrong.toml"
systemctl start "$UNIT"
expect "state" "$(state)" unpaired

# shellcheck shell=bash
# No secret leaves by what it leaves behind: pairing codes, device codes, access and refresh tokens, the model's secret, the state
# key. Looked for at each step of a life, at the most talkative level of the log, in the whole journal with all its fields, in
# status, properties, signals, command line, environment, and in clear in the files. By its name it is the last of its system, and
# looks for what all scenarios before it were given, too.

drop_in 10-talkative <<<$'[Service]\nEnvironment=C2C_LOG=debug'
sim_start
provision
refreshing_early
systemctl start "$UNIT"
busctl --system monitor --match="type='signal'" >/run/signals 2>/run/monitor &
monitor=$!

seen=/run/seen
rm -rf "$seen"
mkdir --mode=700 "$seen"
# look WHEN
look() {
    local interface found main
    main=$(unit MainPID)
    journalctl --sync
    journalctl --quiet --all --output=export >"$seen/journal"
    systemctl status --no-pager --full --lines=1000 "$UNIT" >"$seen/status" || true
    systemctl show --all "$UNIT" >"$seen/unit"
    if [ "$main" != 0 ]; then
        cp "/proc/$main/cmdline" "/proc/$main/environ" "$seen"
        rm -f "$seen/report"
        c2c-authctl report "$seen/report" 2>/dev/null
        grep --quiet 'C2C_EVENT=started' "$seen/report" || die "$1: the report has no journal"
        for found in "$CLIENT" "$(cat /etc/machine-id)" Testbed; do
            ! grep --quiet --fixed-strings "$found" "$seen/report" || die "$1: $found is in the report"
        done
        for interface in Pairing Tokens Device; do
            busctl --system --json=short call "$NAME" "$OBJECT" org.freedesktop.DBus.Properties GetAll s "$NAME.$interface" >"$seen/$interface"
        done
    fi
    secrets_of_sim | cat "$SECRETS" - >/run/secrets
    mapfile -t files < <(find "$STATE" /run/c2c-authd -type f)
    if ! found=$(/booted/guest/leaks /run/secrets "$seen"/* /run/signals "${files[@]}" 2>&1); then
        die "$1: $found"
    fi
    printf '%s: nothing in %d entries\n' "$1" "$(grep --text --count '^__CURSOR=' "$seen/journal")"
}

# Long enough for what is asked of it, and then it runs out while one waits.
sim code-life 20
start_pairing 0 >/dev/null
call ui Pairing GetPairingCode >/dev/null
call ui Pairing GetQrCode 'a{sv}' 1 format s text >/dev/null
look "with a code on show"
soon at_least 2 sim count codes
sim code-life 120
denied() { sim deny any; }
soon denied
soon is unpaired state
look "after another code, and a no"

# A hotel answers in the server's place: it is asked again.
sim fault refresh portal
soon start_pairing 0
sim approve any
soon is paired state
token >/dev/null
look "paired"
# A refresh that may have been carried out is sent again after 40 s.
within 120 is 2 generation
soon serves_live
look "refreshed"
sim end-access-token "$CLIENT"
rejected 2
systemctl kill --signal=KILL "$UNIT"
soon restarted
soon serves_live
look "rejected, refreshed again, killed"
configure 60-wrong <<<$'[pairing]\ngive-up-after = "soon"'
systemctl reload "$UNIT"
soon happened reload-refused
rm "$CONFIG/60-wrong.toml"
systemctl reload "$UNIT"
soon happened reloaded
call ui Pairing Unpair
soon is 1 sim count revocations
look "unpaired"

# The answer to a refresh is lost on its way: the end of a pairing.
sim fault refresh cut-after
soon start_pairing 0
sim approve any
within 120 is refresh-answer-lost property Pairing PairingReason
look "lost"
systemctl stop "$UNIT"
look "stopped"
kill "$monitor"
wait "$monitor" || true
grep --quiet PairingStateChanged /run/signals || die "no signal was heard"

# Each kind would have been found: said here as a program might.
one() { awk -v kind="$1" '$1 == kind { print $2 }' /run/secrets | tail -n 1 | perl -ne 'chomp; print pack "H*", $_'; }
# This server gives out none of the code grant's: made up here, as long as that one's.
for kind in state authorization-code code-verifier; do
    made_up=$(head -c 32 /dev/urandom | base64 --wrap=0 | tr '+/' '-_' | tr -d '=')
    printf '%s\n' "$made_up" | hex "$kind" >>/run/secrets
done
for kind in user-code device-code refresh-token state authorization-code code-verifier; do
    logger --tag control "they say it is $(one "$kind")"
done
access=$(one access-token)
logger --tag control "and ${access: -30}…"
logger --tag control "under the key $(one state-key | base64)"
printf 'MESSAGE=nothing\nC2C_CONTROL=%s\n' "$(one client-secret)" | logger --journald
journalctl --sync
journalctl --quiet --all --output=export >"$seen/journal"
found=$(/booted/guest/leaks /run/secrets "$seen/journal" | sed 's/.*: //' | tr '\n' ' ') || true
expect "what the journal with secrets has" "$found" \
    "access-token authorization-code client-secret code-verifier device-code refresh-token state state-key user-code "
note <<<"$(sort --unique /run/secrets | wc -l) secrets, $(grep --text --count '^__CURSOR=' "$seen/journal") entries"
rm -rf "$seen" /run/secrets /run/signals

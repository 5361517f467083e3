# shellcheck shell=bash
# `journalctl -o json` gives an event, its MESSAGE_ID as documented and a priority that fits, for a
# whole life of a pairing. zero-secrets.sh shows that there is no secret among them.

world
refreshing_early
systemctl reload "$UNIT"
pair
token >/dev/null
soon is 2 generation
token >/dev/null
call ui Pairing Unpair
soon happened revoked
systemctl stop "$UNIT"

for what in started code-shown paired token-handed-out refreshed unpaired revoked reloaded stopping; do
    happened "$what" || die "no event $what"
done
# Everything that life brought is news, not trouble; and each has the id that the pages promise.
while IFS=$'\t' read -r what id priority; do
    expect "priority of $what" "$priority" 6
    [ "$what" = token-handed-out ] || grep --quiet --fixed-strings "| \`$what\` | \`$id\` |" \
        /usr/share/doc/c2c-authd/docs/operating.md || die "$what has MESSAGE_ID $id, which docs/operating.md does not know"
done < <(entries | jq --raw-output 'select(.C2C_EVENT) | [.C2C_EVENT, .MESSAGE_ID // "-", .PRIORITY] | @tsv')
expect "generation in the journal" "$(event refreshed C2C_GENERATION)" 2
expect "entries without an event" "$(entries | jq --raw-output 'select(.C2C_EVENT == null) | .MESSAGE')" ""

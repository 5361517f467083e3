# shellcheck shell=bash
# What `journalctl -o json` gives: an event, its MESSAGE_ID as documented and a priority that fits, for a whole life of a pairing;
# and no secret, neither there nor in the status, the command line, the environment or (in clear) the files.

world
refreshing_early
systemctl reload "$UNIT"
pair_for_long
token >/dev/null
within 30 at_least 2 generation
token >/dev/null
call ui Pairing Unpair
within 10 happened revoked
systemctl status --no-pager "$UNIT" >/tmp/status
cp "/proc/$(unit MainPID)/cmdline" /tmp/cmdline
cp "/proc/$(unit MainPID)/environ" /tmp/environ
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

journalctl --quiet --output=export >/tmp/journal
sim secrets >/tmp/secrets
at_least 7 wc -l </tmp/secrets || die "there are too few secrets to look for"
for place in /tmp/journal /tmp/status /tmp/cmdline /tmp/environ "$STATE"/* /run/c2c-authd/*; do
    [ -f "$place" ] || continue
    # A user code is six digits, which time stamps and sequence numbers hold by chance.
    if grep --quiet --text --fixed-strings --file=<(grep --extended-regexp '.{12}' /tmp/secrets) "$place"; then
        die "there is a secret in $place"
    fi
done

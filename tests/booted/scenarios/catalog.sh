# shellcheck shell=bash
# `journalctl -x` explains every event there is: each has a subject and at most eight lines, and
# none shows the name of a field where its value should be. The real events of a pairing that is
# unpaired are among them.

world
pair
call ui Pairing Unpair
soon happened revoked
catalog=/usr/lib/systemd/catalog/c2c-authd.catalog
journalctl --update-catalog
mapfile -t ids < <(sed --quiet 's/^-- \([0-9a-f]\{32\}\)$/\1/p' "$catalog")
[ "${#ids[@]}" -gt 20 ] || die "only ${#ids[@]} events in $catalog"
for id in "${ids[@]}"; do
    # All the fields that any of ours has.
    logger --journald <<EOF
SYSLOG_IDENTIFIER=c2c-catalog
MESSAGE_ID=$id
MESSAGE=Message of $id.
C2C_EVENT=an-event
C2C_STATE=unpaired
C2C_REASON=revoked
C2C_GENERATION=7
C2C_CALLER_UID=1000
C2C_CALLER_UNIT=uploader.service
C2C_CALLER_PID=4711
EOF
done
journalctl --sync

# The entry, then its explanation, whose lines begin with two dashes, or with two blocks where the locale has them.
explained() { journalctl --catalog --no-pager --boot "$@" | sed 's/^░░/--/'; }
for id in "${ids[@]}"; do
    said=$(explained --identifier=c2c-catalog MESSAGE_ID="$id")
    expect "subjects of $id" "$(grep --count '^-- Subject: ' <<<"$said" || true)" 1
    # Behind the head and the empty line that ends it.
    lines=$(sed '1,/^-- *$/d' <<<"$said" | grep --count '^--' || true)
    { [ "$lines" -gt 0 ] && [ "$lines" -le 8 ]; } || die "$id is explained in $lines lines: $said"
done
for what in --identifier=c2c-catalog --unit="$UNIT"; do
    said=$(explained "$what")
    [[ $said == *'-- Subject: This device is paired'* ]] || die "nothing is explained of $what"
    [[ $said != *@* ]] || die "a field is not filled in: $(grep --max-count=3 @ <<<"$said")"
done

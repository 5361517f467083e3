# shellcheck shell=bash
# With the drop-in for systemd 253 and later, which the package for those has, `systemctl reload` returns when the reload is over,
# not when the signal was sent. On 252 shows why it is not part of the unit: that systemd does not know the type, and is left
# without a way to reload.

world
if [ "$(systemd_version)" -ge 253 ]; then
    expect Type "$(unit Type)" notify-reload
    pair
    configure 50-access <<<$'[access]\nuploader = []'
    systemctl reload "$UNIT"
    # No waiting here: it is over.
    refuses org.freedesktop.DBus.Error.AccessDenied call uploader Tokens GetAccessToken u 0
    configure 50-access <<<'nonsense'
    systemctl reload "$UNIT"
    expect_like "the sentence" "$(unit StatusText)" 'The new configuration is refused'
    expect "the unit" "$(unit ActiveState)" active
else
    drop_in 10-notify-reload </usr/share/doc/c2c-authd/examples/notify-reload.conf
    systemctl restart "$UNIT"
    if systemctl reload "$UNIT"; then
        die "systemd $(systemd_version) reloads with this drop-in: ship it there, too"
    fi
    expect "the unit" "$(unit ActiveState)" active
fi

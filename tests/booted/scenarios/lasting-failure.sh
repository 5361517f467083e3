# shellcheck shell=bash
# What may pass is tried again for as long as it takes, and the reason stays in sight: a state directory of another user (77) does
# not turn into `start-limit-hit`. When the cause is gone, the device comes back by itself.

drop_in 10-quick <<<$'[Service]\nRestartSec=500ms'
world
pair
systemctl stop "$UNIT"
# Not the directory itself, whose owner systemd sets right.
chown root "$STATE"/*
systemctl --no-block start "$UNIT"
reason() { printf '%s/%s\n' "$(unit Result)" "$(unit ExecMainStatus)"; }
within 20 at_least 6 unit NRestarts
# Between two tries, that is.
within 20 is exit-code/77 reason
expect_like "the sentence" "$(event failed)" '/var/lib/c2c-authd/record.*owner'
chown c2c-authd "$STATE"/*
within 15 is active unit ActiveState
expect "state" "$(state)" paired

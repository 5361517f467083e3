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
# In one question: between two of them it may be started again.
reason() { systemctl show --property=Result,ExecMainStatus "$UNIT" | sort | sed 's/.*=//' | paste --serial --delimiters=/; }
soon at_least 6 unit NRestarts
# Between two tries, that is.
soon is 77/exit-code reason
expect_like "the sentence" "$(event failed)" '/var/lib/c2c-authd/record.*owner'
chown c2c-authd "$STATE"/*
soon is active unit ActiveState
expect "state" "$(state)" paired

# shellcheck shell=bash
# The drop-in that provision writes has this reason: without it systemd may want to open the
# credentials before the driver of the TPM is there. The verdict is that nothing is lost by that.
# The result of the start is printed.

within 120 test -c /dev/tpmrm0
settled() { like '^(active|failed)$' unit ActiveState; }
within 60 settled
note <<<"without the drop-in the unit was $(unit ActiveState) at boot, with $(unit ExecMainStatus)"
journalctl --quiet --no-pager --boot --unit="$UNIT" --output=short-monotonic | head -n 4 | note
journalctl --quiet --no-pager --boot --dmesg --grep='tpm' --output=short-monotonic | head -n 2 | note
systemctl reset-failed "$UNIT"
systemctl start "$UNIT"
expect "state" "$(state)" paired
expect "the token" "$(token)" "$(cat /var/lib/the-token)"
mv /var/lib/50-provision.conf "/etc/systemd/system/$UNIT.d/"

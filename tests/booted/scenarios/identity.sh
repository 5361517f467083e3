# shellcheck shell=bash
# Where a client id comes from, under the sandbox: the board's serial number by the device tree in /sys, and an id derived from
# machine-id that systemd-id128 agrees with.

sim_start
provision
grep -v client-id "$CONFIG/10-device.toml" >/tmp/rest
from() { sed "s/^\[device\]/&\nclient-id-from = \"$1\"/" /tmp/rest >"$CONFIG/10-device.toml"; }

# A container's hardware has no device tree.
mount -o remount,rw /sys
mkdir -p /sys/firmware/devicetree/base
printf 'BOARD-0042\0' >/sys/firmware/devicetree/base/serial-number
from devicetree-serial
systemctl start "$UNIT"
expect "client id" "$(property Device ClientId)" BOARD-0042
rm -r /sys/firmware
mount -o remount,ro /sys

from machine-id
systemctl restart "$UNIT"
expect "client id" "$(property Device ClientId)" \
    "$(systemd-id128 machine-id --uuid --app-specific=12d557c1ba214d9ea16243c1471a37f2)"

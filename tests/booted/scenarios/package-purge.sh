# shellcheck shell=bash
# boots: 1
# needs: packages
# A purge finds the secrets in clear of `provision --files` and the records in a configured state
# directory. Removing keeps them, and dpkg takes the edited config.toml away before it purges.

systemctl stop "$UNIT"
if dpkg-query --show c2c-authd >/dev/null 2>&1; then dpkg --purge c2c-authd; fi
package() { DEBIAN_FRONTEND=noninteractive dpkg --force-confold "$@" 2>&1 | tee /run/results/dpkg.last; }
package --install /packages/current.deb
systemctl stop "$UNIT"
[ -L /run/credstore.encrypted/c2c-authd.state-key ] || die "no link to what a read-only /etc would need"

partition=/srv/c2c-state factory=/srv/factory
install --directory --mode=700 --owner=c2c-authd "$partition"
touch "$partition/of-somebody-else"
sim_start
device
sed -i "/^\[state\]/a directory = \"$partition\"" /etc/c2c-authd/config.toml
drop_in 10-state <<<"[Service]
ReadWritePaths=$partition"
c2c-authctl provision --files "$factory" --client-id "$CLIENT" <"$SIM_DIR/client-secret"
systemctl start "$UNIT"
pair
first=$(token)
[ -e "$partition/record.0" ] || die "no record there"

package --remove c2c-authd
for file in "$factory/client-secret" "$factory/state-key" "$partition/record.0"; do
    [ -s "$file" ] || die "removing took $file away"
done
package --install /packages/current.deb
expect "state after the return" "$(state)" paired
expect "the token after the return" "$(token)" "$first"

package --purge c2c-authd
grep --quiet 'NOT revoked' /run/results/dpkg.last || die "nobody was told that the pairing lives on at the server"
grep --quiet "$partition is kept" /run/results/dpkg.last || die "nobody was told that the directory stays"
expect "what is left" "$(find /srv /etc/c2c-authd /etc/credstore.encrypted /var/lib/c2c-authd -type f 2>/dev/null || true)" "$partition/of-somebody-else"

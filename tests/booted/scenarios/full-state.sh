# shellcheck shell=bash
# The state partition is full: a refresh still has the room that was kept for it; the next one is not sent as long as it could not
# be recorded, and callers and journal are told; with room again the daemon goes on by itself. Nothing is lost at any time.

mkdir -p "$STATE"
mount -t tmpfs -o size=128k,mode=0700,uid="$(id -u c2c-authd)",gid="$(id -g c2c-authd)" tmpfs "$STATE"
sim_start
provision
refreshing_early
systemctl start "$UNIT"
pair_for_long
expect "the token" "$(token)" "$(sim live "$CLIENT" access)"
fill() { head -c 256k /dev/zero >"$STATE/ballast.$1" 2>/dev/null || true; }

# The first refresh takes the room that was kept for it.
fill 1
within 20 is 2 generation
expect "the token on a full disk" "$(token)" "$(sim live "$CLIENT" access)"

# The second has none left: it is not sent.
fill 2
sim end-access-token "$CLIENT"
noticed() {
    as uploader busctl --system --timeout=1 call "$NAME" "$OBJECT" "$NAME.Tokens" RejectAccessToken t 2 || true
    sleep 1
    is storage-failed last_error
}
within 30 noticed
happened store-failed || die "no word of the disk in the journal"
expect "state" "$(state)" paired
refuses StorageFailed call uploader Tokens GetAccessToken u 0
expect "refreshes" "$(sim requests refresh)" 1

rm "$STATE"/ballast.*
within 60 is 3 generation
within 10 happened store-recovered
expect "the token with room again" "$(token)" "$(sim live "$CLIENT" access)"
systemctl restart "$UNIT"
expect "the token after a restart" "$(token)" "$(sim live "$CLIENT" access)"

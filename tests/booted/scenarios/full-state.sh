# shellcheck shell=bash
# The state partition is full: refreshes go on in the room that was kept for them. Then it becomes read-only, as worn flash does:
# the token is served, the next refresh is not sent because it could not be recorded, operator and journal are told; when it can
# be written again the daemon goes on by itself. Nothing is lost at any time.

mkdir -p "$STATE"
mount -t tmpfs -o size=128k,mode=0700,uid="$(id -u c2c-authd)",gid="$(id -g c2c-authd)" tmpfs "$STATE"
sim_start
provision
refreshing_early
systemctl start "$UNIT"
pair

head -c 256k /dev/zero >"$STATE/ballast" 2>/dev/null || true
expect "room left" "$(df --output=avail "$STATE" | tail -n 1 | tr -d ' ')" 0
within 20 at_least 3 generation
expect "the token on a full disk" "$(token)" "$(sim live "$CLIENT" access)"

mount -o remount,ro "$STATE"
within 20 is storage-failed last_error
happened store-failed || die "no word of the disk in the journal"
sent=$(sim requests refresh)
expect "state" "$(state)" paired
expect "the token of a disk that fails" "$(token)" "$(sim live "$CLIENT" access)"
expect "refreshes sent meanwhile" "$(sim requests refresh)" "$sent"

mount -o remount,rw "$STATE"
rm "$STATE/ballast"
held=$(generation)
within 60 at_least "$((held + 1))" generation
within 10 happened store-recovered
systemctl restart "$UNIT"
within 20 is "$(sim live "$CLIENT" access)" token
expect "complaints of the server" "$(sim violations)" ""

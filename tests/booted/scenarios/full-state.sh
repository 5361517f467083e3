# shellcheck shell=bash
# The state partition is full: refreshes go on in the room that was kept for them. Then it becomes read-only, as worn flash does:
# the token is served, the next refresh is not sent because it could not be recorded, operator and journal are told; when it can
# be written again the daemon goes on by itself. Nothing is lost at any time.

mkdir -p "$STATE"
# Room for the daemon's reserve, and no more than a moment of ballast.
mount -t tmpfs -o size=1m,mode=0700,uid="$(id -u c2c-authd)",gid="$(id -g c2c-authd)" tmpfs "$STATE"
sim_start
provision
refreshing_often
systemctl start "$UNIT"
pair

# A refresh may just free a block, or hold a file open: until it is so.
fill() {
    head -c 2m /dev/zero >>"$STATE/ballast" 2>/dev/null || true
    is 0 room
}
room() { df --output=avail "$STATE" | tail -n 1 | tr -d ' '; }
soon fill
held=$(generation)
soon at_least "$((held + 2))" generation
soon is 0 room
soon serves_live

# The next token lives for minutes, so that it is still served when the disk has failed for a while.
sim refreshed-life 600
soon at_least 100 lives
soon mount -o remount,ro "$STATE"
configure 50-refresh <<<$'[refresh]\nat = "1%"'
systemctl reload "$UNIT"
soon is storage-failed last_error
happened store-failed || die "no word of the disk in the journal"
sent=$(sim requests refresh)
expect "state" "$(state)" paired
soon serves_live
expect "refreshes sent meanwhile" "$(sim requests refresh)" "$sent"

mount -o remount,rw "$STATE"
rm "$STATE/ballast"
held=$(generation)
within 120 at_least "$((held + 1))" generation
soon happened store-recovered
systemctl restart "$UNIT"
soon serves_live
expect "complaints of the server" "$(sim violations)" ""

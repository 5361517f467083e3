# shellcheck shell=bash
# The unit as systemd's own analysis sees it: exposure at most 1.1, and not a word from `systemd-analyze verify`, with the drop-in that
# the package for newer versions has. What the analysis cannot know is whether the lines do anything: sandbox.sh.

file=/usr/lib/systemd/system/$UNIT
exposure() { sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\).*/\1/p' /tmp/analysis; }

# In percent of the worst, which is 10.
if ! systemd-analyze security --offline=true --no-pager --threshold=11 "$file" >/tmp/analysis; then
    cat /tmp/analysis
    die "exposure $(exposure)"
fi
{
    printf '%s: exposure %s, of which:\n' "$(systemd-analyze --version | head -n 1 | cut -d ' ' -f 1,2)" "$(exposure)"
    grep '^✗' /tmp/analysis | sed 's/^✗ //; s/  */ /g'
} | note
# It can fail: one line less is over the threshold.
sed '/^PrivateUsers=/d' "$file" >"/tmp/$UNIT"
if systemd-analyze security --offline=true --no-pager --threshold=11 "/tmp/$UNIT" >/tmp/analysis; then
    die "without PrivateUsers= it is $(exposure), which should be too much"
fi

# There are no manual pages here to look up.
verify() { systemd-analyze verify --man=no --recursive-errors=no "$UNIT" 2>&1 || true; }
expect "systemd-analyze verify" "$(verify)" ""
# It can fail as well.
drop_in 20-wrong <<<$'[Service]\nProtectHom=yes'
expect_like "verify of a wrong line" "$(verify)" ProtectHom

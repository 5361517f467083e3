# shellcheck shell=bash
# A system without credentials: both secrets as files, under the shipped sandbox, where users other than its own and root look like
# nobody. Owner and mode are seen all the same: a file of somebody else's, or open to others, ends the start with 77 and a sentence.

sim_start
provision
rm /etc/credstore.encrypted/c2c-authd.{client-secret,state-key}
install -D --mode=600 --owner=c2c-authd "$SIM_DIR/client-secret" /etc/c2c-authd/secrets/client-secret
head -c 32 /dev/urandom >/etc/c2c-authd/secrets/state-key
chmod 600 /etc/c2c-authd/secrets/state-key
chown c2c-authd /etc/c2c-authd/secrets/state-key
configure 30-secrets <<END
[secrets]
client-secret-file = "/etc/c2c-authd/secrets/client-secret"
state-key-file = "/etc/c2c-authd/secrets/state-key"
END
systemctl start "$UNIT"
pair
expect "the token" "$(token)" "$(sim live "$CLIENT" access)"

# refused WHAT: it does not start, and says why.
refused() {
    if systemctl restart "$UNIT"; then
        die "it started with $1"
    fi
    soon has_ended 77
    systemctl stop "$UNIT"
    entries | jq --raw-output .MESSAGE | grep --quiet --fixed-strings "$2" || die "no word of: $2"
}
chmod 640 /etc/c2c-authd/secrets/client-secret
refused "a file that others may read" "chmod 0600 /etc/c2c-authd/secrets/client-secret"
chmod 604 /etc/c2c-authd/secrets/client-secret
chown ui /etc/c2c-authd/secrets/client-secret
refused "a file of somebody else's" "chown $(id --user c2c-authd) /etc/c2c-authd/secrets/client-secret"

chown c2c-authd /etc/c2c-authd/secrets/client-secret
chmod 600 /etc/c2c-authd/secrets/client-secret
systemctl start "$UNIT"
expect "the state" "$(state)" paired
rm -r /etc/c2c-authd/secrets

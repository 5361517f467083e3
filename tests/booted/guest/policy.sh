# shellcheck shell=bash
# Holds what users can do on the bus against a section of policy.table. Sourced by the scenarios policy*.
#
# Owns: the table. The daemon runs, not paired, with a simulated server.

users=(root ui uploader both nobody c2c-authd)
signals='^(Pairing\.PairingStateChanged|Tokens\.AccessTokenChanged|PropertiesChanged:.*|forged|overhear)$'

# rows SECTION: ACT and what is expected of each user, a line each
rows() { sed -n "/^\[$1\]/,/^\[/p" /booted/guest/policy.table | grep --invert-match -e '^#' -e '^\[' -e '^$'; }

bus_reload() { busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig; }

# Everybody tries what can be tried by calling.
acts() {
    local user
    for user in "${users[@]}"; do
        as "$user" /booted/guest/act "$@" >"/tmp/acts.$user"
    done
}

# Everybody listens while a device is paired and a token is fetched; root until it heard these signals, the others as long.
signals() {
    local user pids=() first
    rm -f /tmp/hold /tmp/heard.*
    mkfifo /tmp/hold
    as root /booted/guest/hear "$@" >/tmp/heard.root &
    first=$!
    as root /booted/guest/hear --monitor overhear >/tmp/heard.monitor &
    pids+=($!)
    for user in "${users[@]:1}"; do
        as "$user" /booted/guest/hear </tmp/hold >"/tmp/heard.$user" &
        pids+=($!)
    done
    exec {hold}>/tmp/hold
    for user in "${users[@]}" monitor; do
        soon grep --quiet listening "/tmp/heard.$user"
    done
    # A code request of this user may have been a moment ago.
    soon start_pairing 0
    sim approve any
    soon is paired state
    token >/dev/null
    as nobody busctl --system emit "$OBJECT" "$NAME.Pairing" PairingStateChanged ss paired none
    wait "$first"
    exec {hold}>&-
    wait "${pids[@]}"
    # A monitor that may overhear does, so that those who may not would have been caught.
    grep --quiet overhear /tmp/heard.monitor || die "not even a monitor overheard anything"
}

# seen USER ACT
seen() {
    if [[ $2 =~ $signals ]]; then
        if grep --quiet --fixed-strings --line-regexp "$2" "/tmp/heard.$1"; then echo ok; else echo bus; fi
    else
        awk -v act="$2" '$1 == act { print $2 }' "/tmp/acts.$1"
    fi
}

# hold SECTION: prints the table as it was seen, and fails if it is not the one that was expected.
hold() {
    local section=$1 act expected cells=0 wrong=0 user at line
    mapfile -t all < <(rows "$section" | awk '{ print $1 }')
    mapfile -t called < <(printf '%s\n' "${all[@]}" | grep --extended-regexp --invert-match "$signals")
    mapfile -t heard < <(printf '%s\n' "${all[@]}" | grep --extended-regexp "$signals" | grep --invert-match overhear || true)
    acts "${called[@]}"
    if [ "${#heard[@]}" -gt 0 ]; then
        call root Pairing Unpair
        signals "${heard[@]}"
    fi
    {
        printf '%-30s' "[$section]"
        printf ' %-9s' "${users[@]}"
        echo
        while read -r act line; do
            printf '%-30s' "$act"
            read -ra expected <<<"$line"
            for at in "${!users[@]}"; do
                user=${users[at]}
                cells=$((cells + 1))
                if [[ $(seen "$user" "$act") =~ ^(${expected[at]})$ ]]; then
                    printf ' %-9s' "${BASH_REMATCH[1]}"
                else
                    wrong=$((wrong + 1))
                    printf ' %-9s' "$(seen "$user" "$act")!=${expected[at]}"
                fi
            done
            echo
        done < <(rows "$section")
        printf '%d cells, %d not as expected\n\n' "$cells" "$wrong"
    } >/tmp/table
    note </tmp/table
    cat /tmp/table
    grep --with-filename '' /tmp/acts.* | grep --invert-match ' -$' || true
    grep --quiet ', 0 not as expected$' /tmp/table || die "the table of [$section] is not the one that was expected"
}

# shellcheck shell=bash
# Memory goes back to the system: after refused calls with bodies of 30 MB, many small calls and a burst of 64 clients the daemon
# holds no more than 8 MB of its own.

world
pair
token >/dev/null

# holds: what it cannot drop and read again, in kB
holds() { awk '$1 == "RssAnon:" { print $2 }' "/proc/$(unit MainPID)/status"; }
at_most() { [ "$("${@:2}")" -le "$1" ]; }
note <<<"at rest: $(($(holds) / 1000)) MB or less of its own"

# These are perl's variables.
# shellcheck disable=SC2016
as both perl -I/booted/guest -MBus -e '
    my %to = (destination => $ARGV[0], path => $ARGV[1]);
    my %large = (%to, interface => "$ARGV[0].Pairing", member => "StartPairing", signature => "s");
    my %small = (%to, interface => "$ARGV[0].Tokens", member => "GetAccessToken", signature => "u", body => pack "V", 0);
    my $bus = Bus->connect;
    my $body = Bus::string("a" x 30_000_000);
    for (1 .. 12) {
        my $answer = $bus->call(%large, body => $body) // die "no answer\n";
        $answer->{error} =~ /InvalidArgs/ or die "not refused: $answer->{type} $answer->{error}\n";
    }
    for (1 .. 350) { $bus->call(%small)->{type} eq "return" or die "no token\n" }
    my @clients = map { Bus->connect } 1 .. 64;
    for (1 .. 5) {
        $_->send(%small) for @clients;
        for my $client (@clients) {
            while (my $message = $client->next(25)) { last if $message->{reply} }
        }
    }' "$NAME" "$OBJECT"
soon at_most 8000 holds
expect "restarts" "$(unit NRestarts)" 0
expect "its limit" "$(unit MemoryMax)" 536870912

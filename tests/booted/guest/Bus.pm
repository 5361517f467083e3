# A connection to the system bus, as little of it as the scenarios need: calls and their answers, signals as they come. By hand,
# because no D-Bus library comes with a minimal system: the D-Bus specification, "Message Protocol". Little endian machines only.
#
# A message is a hash: type, serial, path, interface, member, error, reply, destination, sender, signature, body.
package Bus;
use strict;
use warnings;
use IO::Socket::UNIX;
use IO::Select;

our @TYPES = qw(invalid call return error signal);
my @FIELDS = (undef, qw(path interface member error reply destination sender signature));
my %FIELD_TYPES = (path => 'o', reply => 'u', signature => 'g');

sub connect {
    my ($class) = @_;
    my $socket = IO::Socket::UNIX->new(Peer => '/run/dbus/system_bus_socket') or die "no bus: $!\n";
    my $self = bless { socket => $socket, serial => 0, read => '' }, $class;
    # File descriptors are agreed to because some answers have one, and dropped.
    for my $say ("\0AUTH EXTERNAL " . unpack('H*', $>), 'NEGOTIATE_UNIX_FD') {
        syswrite $socket, "$say\r\n";
        my $line = '';
        sysread($socket, $line, 1, length $line) or die "the bus hung up\n" until $line =~ /\r\n$/;
        $line =~ /^(OK|AGREE)/ or die "refused: $line";
    }
    syswrite $socket, "BEGIN\r\n";
    $self->{name} = text($self->bus('Hello')->{body});
    return $self;
}

sub text { unpack("V/a*", $_[0]) }
sub string { pack('V/a* x', $_[0]) }
sub padded { my ($data, $to) = @_; $data . "\0" x (-length($data) % $to) }

# Sends a call; its serial.
sub send {
    my ($self, %call) = @_;
    my $fields = '';
    for my $code (1 .. $#FIELDS) {
        my $value = $call{ $FIELDS[$code] } // next;
        my $type = $FIELD_TYPES{ $FIELDS[$code] } // 's';
        $fields = padded($fields, 8) . pack('C C a x', $code, 1, $type)
            . ($type eq 'g' ? pack('C/a* x', $value) : string($value));
    }
    my $body = $call{body} // '';
    my $serial = ++$self->{serial};
    my $head = pack('a C C C V V V', 'l', 1, 0, 1, length $body, $serial, length $fields);
    my $message = padded($head . $fields, 8) . $body;
    syswrite($self->{socket}, $message) == length $message or die "the bus takes no more\n";
    return $serial;
}

# The next message within so many seconds, or nothing.
sub next {
    my ($self, $seconds) = @_;
    my $end = time + $seconds;
    while (1) {
        my $message = $self->taken;
        return $message if $message;
        my $left = $end - time;
        return if $left <= 0 || !IO::Select->new($self->{socket})->can_read($left);
        sysread($self->{socket}, $self->{read}, 65536, length $self->{read}) or die "the bus hung up\n";
    }
}

# The first whole message of what was read.
sub taken {
    my ($self) = @_;
    return if length $self->{read} < 16;
    my ($type, $body, $serial, $fields) = (unpack('a C C C V V V', $self->{read}))[1, 4, 5, 6];
    my $start = 16 + $fields + (-$fields % 8);
    return if length $self->{read} < $start + $body;
    my $data = substr($self->{read}, 0, $start + $body, '');
    my %message = (type => $TYPES[$type], serial => $serial, body => substr($data, $start));
    my $at = 16;
    while ($at < 16 + $fields) {
        $at += -$at % 8;
        my ($code, $kind) = (unpack('C C a', substr($data, $at)))[0, 2];
        $at += 4;
        my $value;
        if ($kind eq 'g') {
            $value = unpack('C/a', substr($data, $at));
            $at += 2 + length $value;
        } elsif ($kind eq 'u') {
            $value = unpack('V', substr($data, $at));
            $at += 4;
        } else {
            $value = text(substr($data, $at));
            $at += 5 + length $value;
        }
        $message{ $FIELDS[$code] } = $value if defined $FIELDS[$code];
    }
    return \%message;
}

# Calls, and waits for the answer; what else comes is given to `other`. Nothing when none comes.
sub call {
    my ($self, %call) = @_;
    my $other = delete $call{other} // sub { };
    my $serial = $self->send(%call);
    while (my $message = $self->next(25)) {
        return $message if ($message->{reply} // 0) == $serial && $message->{type} =~ /^(return|error)$/;
        $other->($message);
    }
    return;
}

# A call to the bus itself.
sub bus {
    my ($self, $member, $signature, $body, %more) = @_;
    return $self->call(
        destination => 'org.freedesktop.DBus',
        path => '/org/freedesktop/DBus',
        interface => 'org.freedesktop.DBus',
        member => $member,
        ($signature ? (signature => $signature, body => $body) : ()),
        %more,
    );
}

1;

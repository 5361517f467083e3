package c2cauth

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// A clock that stands still. The timers that were asked for, and one that is over by hand.
type stoppedClock struct {
	lock   sync.Mutex
	now    time.Time
	asked  []time.Duration
	timers chan time.Time
}

func newClock() *stoppedClock { return &stoppedClock{now: start, timers: make(chan time.Time)} }

func (c *stoppedClock) Now() time.Time {
	c.lock.Lock()
	defer c.lock.Unlock()
	return c.now
}

func (c *stoppedClock) Timer(d time.Duration) (<-chan time.Time, func() bool) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.asked = append(c.asked, d)
	return c.timers, func() bool { return true }
}

// A daemon on a bus of its own.
type fakeDaemon struct {
	t       *testing.T
	address string
	bus     *exec.Cmd
	conn    *dbus.Conn
	lock    sync.Mutex
	error   string
	of      uint64
	calls   []string
	// Not nil: no call is answered before it is closed.
	silent chan struct{}
}

func (d *fakeDaemon) GetAccessToken(uint32) (string, uint32, uint64, *dbus.Error) {
	d.lock.Lock()
	d.calls = append(d.calls, "get")
	name, of, silent := d.error, d.of, d.silent
	d.lock.Unlock()
	if silent != nil {
		<-silent
	}
	if name != "" {
		return "", 0, 0, dbus.NewError(name, []any{"refused"})
	}
	return "the-token", 60, of, nil
}

func (d *fakeDaemon) RejectAccessToken(uint64) *dbus.Error {
	d.lock.Lock()
	defer d.lock.Unlock()
	d.calls = append(d.calls, "reject")
	return nil
}

func (d *fakeDaemon) becomes(name string, of uint64) {
	d.lock.Lock()
	defer d.lock.Unlock()
	d.error, d.of, d.calls = name, of, nil
}

func (d *fakeDaemon) called() string {
	d.lock.Lock()
	defer d.lock.Unlock()
	return strings.Join(d.calls, " ")
}

func (d *fakeDaemon) signal() {
	if err := d.conn.Emit(path, tokens+".AccessTokenChanged", d.of); err != nil {
		d.t.Fatal(err)
	}
}

func (d *fakeDaemon) leave() { _, _ = d.conn.ReleaseName(name) }
func (d *fakeDaemon) comes() { _, _ = d.conn.RequestName(name, dbus.NameFlagDoNotQueue) }

func newDaemon(t *testing.T) *fakeDaemon {
	configuration := filepath.Join(t.TempDir(), "bus.conf")
	text := `<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen><auth>EXTERNAL</auth><policy context="default">
<allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>`
	if err := os.WriteFile(configuration, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &fakeDaemon{t: t, of: 7, bus: exec.Command("dbus-daemon", "--nofork", "--print-address", "--config-file="+configuration)}
	output, err := d.bus.StdoutPipe()
	if err == nil {
		err = d.bus.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.bus.Process.Kill(); _ = d.bus.Wait() })
	if _, err := fmt.Fscanln(output, &d.address); err != nil {
		t.Fatal(err)
	}
	d.conn = d.client()
	if err := d.conn.Export(d, path, tokens); err != nil {
		t.Fatal(err)
	}
	d.comes()
	return d
}

func (d *fakeDaemon) client() *dbus.Conn {
	conn, err := dbus.Connect(d.address)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (d *fakeDaemon) source(clock Clock) (*Source, *dbus.Conn) {
	conn := d.client()
	source, err := New(conn, clock)
	if err != nil {
		d.t.Fatal(err)
	}
	return source, conn
}

func failed(t *testing.T, err error, why Why) *Error {
	t.Helper()
	var failure *Error
	if !errors.As(err, &failure) || failure.Why != why {
		t.Fatalf("%v, not row %d", err, why)
	}
	return failure
}

// until polls, because a goroutine has no end that can be waited for.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

var background = context.Background()

func TestEachErrorEndsInItsRowAndNewsEndsItsPause(t *testing.T) {
	for name, why := range map[string]Why{
		ours + "NotPaired": NotPaired, ours + "Offline": NoToken, buses + "Timeout": NoToken, buses + "LimitsExceeded": TooOften,
		ours + "ClientRejected": NotAccepted, ours + "NotProvisioned": NotAccepted, buses + "AccessDenied": Refused,
		buses + "NoReply": NoDaemon,
	} {
		daemon, clock := newDaemon(t), newClock()
		source, _ := daemon.source(clock)
		daemon.becomes(name, 7)
		_, err := source.Token(background, 0)
		failure := failed(t, err, why)
		expect(t, name, failure.Error(), "refused")
		expect(t, name, failure.ForAPerson(), why == NotAccepted || why == Refused)
		daemon.becomes("", 7)
		daemon.signal()
		if failure.Final() {
			_, err := source.Token(background, 0)
			failed(t, err, why)
			expect(t, name, daemon.called(), "")
			continue
		}
		if why == TooOften {
			// The news is there, and a timer alone ends this one.
			until(t, "no news", func() bool { return len(source.news) == 1 })
			go func() { clock.timers <- start }()
		}
		token, err := source.Token(background, 0)
		expect(t, name, fmt.Sprint(token, err, token.AccessToken), "generation 7, 60 s left <nil>the-token")
		wanted := map[Why][]time.Duration{
			NotPaired: nil, TooOften: {time.Second}, NotAccepted: {time.Hour}, NoToken: {5 * time.Second}, NoDaemon: {5 * time.Second},
		}
		expect(t, name, clock.asked, wanted[why])
	}
}

func TestACallThatIsCancelledLeavesItsNewsToTheNext(t *testing.T) {
	daemon := newDaemon(t)
	source, _ := daemon.source(newClock())
	daemon.becomes(ours+"NotPaired", 7)
	_, err := source.Token(background, 0)
	failed(t, err, NotPaired)
	daemon.becomes("", 7)
	daemon.silent = make(chan struct{})
	daemon.signal()
	cancelled, cancel := context.WithCancel(background)
	ends := make(chan error)
	go func() {
		_, err := source.Token(cancelled, 0)
		ends <- err
	}()
	until(t, "no call", func() bool { return daemon.called() == "get" })
	cancel()
	expect(t, "cancelled", <-ends, context.Canceled)
	close(daemon.silent)
	token, err := source.Token(background, 0)
	expect(t, "the next", fmt.Sprint(token.Generation, err), "7 <nil>")
}

func TestARejectedTokenIsHeldBackAndNotShown(t *testing.T) {
	daemon, clock := newDaemon(t), newClock()
	source, _ := daemon.source(clock)
	token, err := source.Token(background, 0)
	expect(t, "shown", strings.Contains(fmt.Sprintf("%v %+v %#v %v", token, token, token, err), "the-token"), false)
	source.Rejected(background, token.Generation)
	expect(t, "calls", daemon.called(), "get reject")
	go func() { clock.timers <- start }()
	token, err = source.Token(background, 0)
	expect(t, "after 2 s", fmt.Sprint(token, err, clock.asked), "generation 7, 58 s left <nil> [2s]")
	daemon.becomes("", 8)
	daemon.signal()
	until(t, "no news", func() bool { return len(source.news) == 1 })
	token, err = source.Token(background, 0)
	expect(t, "another", fmt.Sprint(token, err), "generation 8, 60 s left <nil>")
}

func TestWithoutADaemonTheNextOwnerIsWaitedFor(t *testing.T) {
	daemon := newDaemon(t)
	daemon.leave()
	source, _ := daemon.source(newClock())
	_, err := source.Token(background, 0)
	failed(t, err, NoDaemon)
	daemon.comes()
	token, err := source.Token(background, 0)
	expect(t, "came", fmt.Sprint(token.Generation, err), "7 <nil>")
}

func TestASignalOfAStrangerIsNoNews(t *testing.T) {
	daemon := newDaemon(t)
	source, conn := daemon.source(newClock())
	stranger := daemon.client()
	forge := func(path dbus.ObjectPath, interface_, member string, body ...any) {
		message := &dbus.Message{Type: dbus.TypeSignal, Body: body, Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldPath: dbus.MakeVariant(path), dbus.FieldInterface: dbus.MakeVariant(interface_),
			dbus.FieldMember: dbus.MakeVariant(member), dbus.FieldDestination: dbus.MakeVariant(conn.Names()[0]),
			dbus.FieldSignature: dbus.MakeVariant(dbus.SignatureOf(body...)),
		}}
		<-stranger.Send(message, nil).Done
		if err := stranger.BusObject().Call(bus+".GetId", 0).Err; err != nil {
			t.Fatal(err)
		}
	}
	heard := make(chan *dbus.Signal, 4)
	conn.Signal(heard)
	forge(path, tokens, "AccessTokenChanged", uint64(8))
	forge("/org/freedesktop/DBus", bus, "NameOwnerChanged", name, "", ":1.99")
	<-heard
	<-heard
	expect(t, "news", len(source.news), 0)
	daemon.signal()
	until(t, "the daemon's own is news", func() bool { return len(source.news) == 1 })
}

func TestALostBusIsFinalAlsoForOneWhoWaits(t *testing.T) {
	daemon := newDaemon(t)
	source, _ := daemon.source(newClock())
	daemon.becomes(ours+"NotPaired", 7)
	_, err := source.Token(background, 0)
	failed(t, err, NotPaired)
	ends := make(chan error)
	go func() {
		_, err := source.Token(background, 0)
		ends <- err
	}()
	_ = daemon.bus.Process.Kill()
	expect(t, "final", failed(t, <-ends, NoBus).Final(), true)
	_, err = source.Token(background, 0)
	failed(t, err, NoBus)
}

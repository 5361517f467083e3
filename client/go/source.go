// Package c2cauth is a token for each request to the API, by the rules of docs/uploader.md, on godbus. The example is a whole
// uploader.
package c2cauth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	name   = "org.cameratocloud.Auth1"
	path   = dbus.ObjectPath("/org/cameratocloud/Auth1")
	tokens = name + ".Tokens"
	bus    = "org.freedesktop.DBus"
	// The daemon answers within 20 s.
	callLimit = 25 * time.Second
)

// Token is a bearer token for one request. Never log or store it.
type Token struct {
	AccessToken string `json:"-"`
	// Seconds, at least 1.
	ExpiresIn  uint32
	Generation uint64
}

// String keeps the token out of a log.
func (t Token) String() string {
	return fmt.Sprintf("generation %d, %d s left", t.Generation, t.ExpiresIn)
}

// GoString keeps it out of %#v.
func (t Token) GoString() string { return t.String() }

// Error says why there is no token now.
type Error struct {
	Why  Why
	Text string
}

func (e *Error) Error() string { return e.Text }

// Final is true if every further call gives this error, at once.
func (e *Error) Final() bool { return e.Why == Refused || e.Why == NoBus }

// ForAPerson is true if a person has to act. It comes once an hour, so each can be told.
func (e *Error) ForAPerson() bool { return e.Why == NotAccepted || e.Why == Refused }

// Clock is where the time comes from. A test has its own.
type Clock interface {
	Now() time.Time
	// The channel gets a value after the duration, unless the timer is stopped.
	Timer(time.Duration) (<-chan time.Time, func() bool)
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }
func (systemClock) Timer(d time.Duration) (<-chan time.Time, func() bool) {
	timer := time.NewTimer(d)
	return timer.C, timer.Stop
}

// Source gives tokens on one connection, which the daemon knows its caller by. Goroutines share it.
type Source struct {
	clock Clock
	// One call to the daemon. A test has its own.
	call func(ctx context.Context, member string, argument any) *dbus.Call
	lost <-chan struct{}
	news chan struct{}
	// Held by the one that waits and calls.
	turn chan struct{}
	// Guards the rule, and what it says at the end.
	lock sync.Mutex
	rule rule
	last *Error
}

// New listens to the daemon, which may be down. A nil clock is the system's.
func New(conn *dbus.Conn, clock Clock) (*Source, error) {
	daemon := conn.Object(name, path)
	s := newSource(clock, conn.Context().Done(), func(ctx context.Context, member string, argument any) *dbus.Call {
		return daemon.CallWithContext(ctx, tokens+"."+member, 0, argument)
	})
	signals := make(chan *dbus.Signal, 16)
	conn.Signal(signals)
	for _, match := range [][]dbus.MatchOption{
		{dbus.WithMatchSender(name), dbus.WithMatchInterface(tokens), dbus.WithMatchMember("AccessTokenChanged")},
		{dbus.WithMatchSender(bus), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, name)},
	} {
		if err := conn.AddMatchSignal(match...); err != nil {
			conn.RemoveSignal(signals)
			return nil, err
		}
	}
	var owner string
	// An error: nobody owns it yet.
	_ = conn.BusObject().Call(bus+".GetNameOwner", 0, name).Store(&owner)
	go func() {
		for {
			select {
			case signal, open := <-signals:
				if !open {
					return
				}
				if s.isNews(signal, &owner) {
					s.tell()
				}
			case <-s.lost:
				return
			}
		}
	}()
	return s, nil
}

func newSource(clock Clock, lost <-chan struct{}, call func(context.Context, string, any) *dbus.Call) *Source {
	if clock == nil {
		clock = systemClock{}
	}
	return &Source{clock: clock, call: call, lost: lost, news: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
}

// isNews looks at the sender, because a bus delivers a signal that names its receiver, whoever sends it.
func (s *Source) isNews(signal *dbus.Signal, owner *string) bool {
	switch signal.Name {
	case tokens + ".AccessTokenChanged":
		return *owner != "" && signal.Sender == *owner
	case bus + ".NameOwnerChanged":
		var of, before, after string
		if signal.Sender != bus || dbus.Store(signal.Body, &of, &before, &after) != nil || of != name {
			return false
		}
		*owner = after
		return after != ""
	}
	return false
}

func (s *Source) tell() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// Token is valid for at least so many seconds; 0 is the daemon's default.
//
// After an error the next call first waits as long as the table has it, then asks once. So ask in a loop, without a pause of your
// own, until [Error.Final]. A context that ends loses nothing.
func (s *Source) Token(ctx context.Context, minValidity uint32) (Token, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return Token{}, ctx.Err()
	}
	s.lock.Lock()
	last, untilNews := s.last, rows[s.rule.why].untilNews
	left, isTimed := s.rule.wait(s.clock.Now())
	s.lock.Unlock()
	if last != nil && last.Final() {
		return Token{}, last
	}
	if _, err := s.wait(ctx, left, isTimed, untilNews); err != nil {
		return Token{}, err
	}
	for {
		select {
		case <-s.news:
		default:
		}
		token, err := s.ask(ctx, minValidity)
		if ctx.Err() != nil {
			// The news that ended the wait is for an answer, which the next call gets.
			s.tell()
			return Token{}, ctx.Err()
		}
		if err != nil {
			return Token{}, s.fail(err)
		}
		s.lock.Lock()
		s.last = nil
		held := s.rule.served(s.clock.Now(), token.Generation)
		s.lock.Unlock()
		if held > 0 {
			if isNews, err := s.wait(ctx, held, true, true); err != nil {
				return Token{}, err
			} else if isNews {
				// For the wait of another one that has a turn after this.
				continue
			}
		}
		if waited := uint32(held / time.Second); token.ExpiresIn > waited {
			token.ExpiresIn -= waited
			return token, nil
		}
	}
}

// Rejected tells the daemon that the API answered 401 to the token of this generation. Token is the next call, whatever came.
func (s *Source) Rejected(ctx context.Context, generation uint64) {
	s.lock.Lock()
	s.rule.reject(s.clock.Now(), generation)
	s.lock.Unlock()
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	_ = s.call(ctx, "RejectAccessToken", generation).Err
}

func (s *Source) ask(ctx context.Context, minValidity uint32) (token Token, err error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	err = s.call(ctx, "GetAccessToken", minValidity).Store(&token.AccessToken, &token.ExpiresIn, &token.Generation)
	return token, err
}

func (s *Source) fail(err error) *Error {
	failure := &Error{NoToken, err.Error()}
	var told dbus.Error
	switch {
	case s.isLost() || errors.Is(err, dbus.ErrClosed):
		failure.Why = NoBus
	case errors.Is(err, context.DeadlineExceeded):
		failure = &Error{NoDaemon, "the daemon does not answer"}
	case errors.As(err, &told):
		failure.Why = whyOf(told.Name)
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	s.rule.failed(s.clock.Now(), failure.Why)
	s.last = failure
	return failure
}

func (s *Source) isLost() bool {
	select {
	case <-s.lost:
		return true
	default:
		return false
	}
}

// wait is over after this time, at news where that counts, or with an error.
func (s *Source) wait(ctx context.Context, left time.Duration, isTimed, untilNews bool) (isNews bool, err error) {
	var ends <-chan time.Time
	if isTimed {
		if left <= 0 {
			return false, ctx.Err()
		}
		timer, stop := s.clock.Timer(left)
		defer stop()
		ends = timer
	}
	var news <-chan struct{}
	if untilNews {
		news = s.news
	}
	select {
	case <-ends:
		return false, nil
	case <-news:
		// It is for an answer; until that came it is kept.
		s.tell()
		return true, nil
	case <-s.lost:
		return false, s.fail(dbus.ErrClosed)
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

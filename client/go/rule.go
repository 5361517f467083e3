package c2cauth

import (
	"strings"
	"time"
)

// Why there is no token: a row of the table of docs/uploader.md.
type Why int

const (
	noFailure Why = iota
	// NotPaired: nobody has paired the device, or the pairing ended.
	NotPaired
	// NoToken: there is none now, and the daemon keeps trying.
	NoToken
	// TooOften: this user calls too often.
	TooOften
	// NotAccepted: a person has to act. It comes once an hour.
	NotAccepted
	// Refused: this call is refused, however often it is made.
	Refused
	// NoDaemon: nobody owns the daemon's name, or its owner does not answer.
	NoDaemon
	// NoBus: the connection is lost, and its Source with it.
	NoBus
)

// Seconds: the first pause, which doubles, and the longest. 0: no timer ends it.
type pause struct{ first, longest int }

type row struct {
	// The last words of the errors' names.
	errors []string
	pause  pause
	// News ends the pause: another token, or another owner of the daemon's name.
	untilNews bool
}

// The table of docs/uploader.md. A test holds the two against each other.
var rows = map[Why]row{
	NotPaired:   {[]string{"NotPaired"}, pause{}, true},
	NoToken:     {[]string{"Offline", "ClockNotSet", "ServerError", "StorageFailed", "Timeout", "Failed"}, pause{5, 60}, true},
	TooOften:    {[]string{"LimitsExceeded"}, pause{1, 60}, false},
	NotAccepted: {[]string{"ClientRejected", "NotProvisioned"}, pause{3600, 3600}, true},
	Refused:     {[]string{"AccessDenied", "InvalidArgs"}, pause{}, false},
	NoDaemon:    {[]string{"ServiceUnknown", "NameHasNoOwner", "NoReply", "TimedOut"}, pause{5, 60}, true},
	NoBus:       {[]string{"Disconnected"}, pause{}, false},
}

// A rejected token that came back is good for a request after this pause.
var sameToken = pause{2, 60}

// whyOf is the row of an error, by its whole name. A newer daemon's word is one that passes.
func whyOf(name string) Why {
	// An activated unit that failed is told by the bus's and systemd's own names.
	for _, start := range []string{"org.freedesktop.DBus.Error.Spawn.", "org.freedesktop.systemd1."} {
		if strings.HasPrefix(name, start) {
			return NoDaemon
		}
	}
	last := name[strings.LastIndex(name, ".")+1:]
	for why, row := range rows {
		for _, word := range row.errors {
			if word == last {
				return why
			}
		}
	}
	return NoToken
}

func (p pause) doubled(times int) time.Duration {
	if times > 16 {
		times = 16
	}
	seconds := p.first << times
	if seconds > p.longest {
		seconds = p.longest
	}
	return time.Duration(seconds) * time.Second
}

// rule is the caller's rule: after which error which pause, and what a token is worth that comes back. It has no clock, and never
// calls, waits or prints.
type rule struct {
	why        Why
	failures   int
	failedAt   time.Time
	rejected   uint64
	rejections int
	notBefore  time.Time
}

// failed: the answer to a call for a token was an error.
func (r *rule) failed(now time.Time, why Why) {
	r.failures++
	if r.why != why {
		r.failures = 0
	}
	r.why, r.failedAt = why, now
}

// served: the answer was a token. It returns how long no request may be made with it.
func (r *rule) served(now time.Time, generation uint64) time.Duration {
	r.why = noFailure
	if generation != r.rejected {
		r.rejected, r.notBefore = 0, time.Time{}
		return 0
	}
	if r.notBefore.IsZero() {
		r.notBefore = now.Add(sameToken.doubled(r.rejections))
	}
	if left := r.notBefore.Sub(now); left > 0 {
		return left
	}
	return 0
}

// reject: the API answered 401 to this one. Several answers to one token count once.
func (r *rule) reject(now time.Time, generation uint64) {
	switch {
	case generation > r.rejected:
		r.rejected, r.rejections, r.notBefore = generation, 0, time.Time{}
	// Before that, no request left since the last rejection.
	case generation == r.rejected && !r.notBefore.IsZero() && !now.Before(r.notBefore):
		r.rejections++
		r.notBefore = time.Time{}
	}
}

// wait is how long the next call waits; isTimed is false where no timer ends it.
func (r *rule) wait(now time.Time) (left time.Duration, isTimed bool) {
	if r.why == noFailure {
		return 0, true
	}
	pause := rows[r.why].pause
	return r.failedAt.Add(pause.doubled(r.failures)).Sub(now), pause.first > 0
}

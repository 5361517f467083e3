package c2cauth

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	ours  = "org.cameratocloud.Auth1.Error."
	buses = "org.freedesktop.DBus.Error."
	never = 1 << 40
)

var start = time.Unix(0, 0)

func at(second int) time.Time { return start.Add(time.Duration(second) * time.Second) }

// An error, or a token of a generation that the API takes from this second on.
type answer struct {
	error      string
	generation uint64
	goodFrom   int
}

// simulated is the seconds of the calls and requests of a program that does what the rule says, with news at these seconds.
func simulated(t *testing.T, answers func(int) answer, news []int, end int) (calls, requests []int) {
	after := func(now int) int {
		for _, second := range news {
			if second > now {
				return second
			}
		}
		return never
	}
	var r rule
	now := 0
	for {
		next := never
		if left, isTimed := r.wait(at(now)); isTimed {
			next = now
			if left > 0 {
				next += int(left / time.Second)
			}
		}
		if rows[r.why].untilNews && after(now) < next {
			next = after(now)
		}
		if next >= end {
			return calls, requests
		}
		now = next
		calls = append(calls, now)
		if len(calls) > 1000 {
			t.Fatal("a flood")
		}
		got := answers(now)
		if got.error != "" {
			r.failed(at(now), whyOf(got.error))
			continue
		}
		held := int(r.served(at(now), got.generation) / time.Second)
		if after(now) < now+held {
			now = after(now)
			continue
		}
		now += held
		if now >= end {
			return calls, requests
		}
		requests = append(requests, now)
		if now >= got.goodFrom {
			now += 60 // The next file is recorded a minute later.
		} else {
			r.reject(at(now), got.generation)
		}
	}
}

func expect(t *testing.T, what string, told, wanted any) {
	t.Helper()
	if fmt.Sprint(told) != fmt.Sprint(wanted) {
		t.Errorf("%s: %v, not %v", what, told, wanted)
	}
}

func TestEachErrorIsPacedAsItsRowHasIt(t *testing.T) {
	calls := func(name string, news []int, end int) []int {
		called, _ := simulated(t, func(int) answer { return answer{error: name} }, news, end)
		return called
	}
	for name, why := range map[string]Why{
		ours + "Offline": NoToken, ours + "ClockNotSet": NoToken, ours + "ServerError": NoToken, ours + "StorageFailed": NoToken,
		buses + "Timeout": NoToken, buses + "Failed": NoToken, ours + "OnlyANewerDaemonHasThis": NoToken,
		buses + "ServiceUnknown": NoDaemon, buses + "NameHasNoOwner": NoDaemon, buses + "NoReply": NoDaemon, buses + "TimedOut": NoDaemon,
		buses + "Spawn.ChildExited": NoDaemon, "org.freedesktop.systemd1.NoSuchUnit": NoDaemon,
	} {
		expect(t, name, whyOf(name), why)
		expect(t, name, calls(name, nil, 300), []int{0, 5, 15, 35, 75, 135, 195, 255})
		expect(t, name, calls(name, []int{2}, 7), []int{0, 2})
	}
	expect(t, "limits", calls(buses+"LimitsExceeded", nil, 200), []int{0, 1, 3, 7, 15, 31, 63, 123, 183})
	expect(t, "limits", calls(buses+"LimitsExceeded", []int{4, 5}, 8), []int{0, 1, 3, 7})
	for _, word := range []string{"ClientRejected", "NotProvisioned"} {
		expect(t, word, calls(ours+word, nil, 10000), []int{0, 3600, 7200})
		expect(t, word, calls(ours+word, []int{60}, 3000), []int{0, 60})
	}
	for _, word := range []string{"AccessDenied", "InvalidArgs", "Disconnected"} {
		expect(t, word, calls(buses+word, []int{1, 2}, never), []int{0})
	}
	expect(t, "NotPaired", calls(ours+"NotPaired", nil, 30*86400), []int{0})
	expect(t, "NotPaired", calls(ours+"NotPaired", []int{40, 90000}, 30*86400), []int{0, 40, 90000})
}

func TestPausesBeginAnew(t *testing.T) {
	calls, _ := simulated(t, func(now int) answer {
		if now >= 10 && now < 20 {
			return answer{generation: 1}
		}
		return answer{error: "Offline"}
	}, nil, 100)
	expect(t, "after a token", calls, []int{0, 5, 15, 75, 80, 90})
	calls, _ = simulated(t, func(now int) answer {
		if now < 15 {
			return answer{error: "Offline"}
		}
		return answer{error: "LimitsExceeded"}
	}, nil, 20)
	expect(t, "after another error", calls, []int{0, 5, 15, 16, 18})
}

func TestARejectedTokenThatComesBackIsHeldBack(t *testing.T) {
	_, requests := simulated(t, func(int) answer { return answer{generation: 7, goodFrom: never} }, nil, 300)
	expect(t, "2 s that double to 60", requests, []int{0, 2, 6, 14, 30, 62, 122, 182, 242})
	_, requests = simulated(t, func(now int) answer {
		if now < 20 {
			return answer{generation: 7, goodFrom: never}
		}
		return answer{generation: 8, goodFrom: 25}
	}, []int{20}, 90)
	expect(t, "another generation resets it", requests, []int{0, 2, 6, 14, 20, 22, 26, 86})
	_, requests = simulated(t, func(int) answer { return answer{generation: 7, goodFrom: 1} }, nil, 200)
	expect(t, "the API takes it after all", requests, []int{0, 2, 62, 122, 182})
}

func TestSeveralRequestsThatFoundOneTokenDeadCountOnce(t *testing.T) {
	var r rule
	r.reject(at(0), 7)
	r.reject(at(0), 7)
	expect(t, "first", r.served(at(0), 7), 2*time.Second)
	// They left before the pause.
	r.reject(at(1), 7)
	r.reject(at(1), 6)
	expect(t, "second", r.served(at(1), 7), time.Second)
	expect(t, "third", r.served(at(2), 7), time.Duration(0))
	r.reject(at(3), 7)
	expect(t, "fourth", r.served(at(3), 7), 4*time.Second)
}

func TestThePageHasTheRowsOfThisTable(t *testing.T) {
	page, err := os.ReadFile("../../docs/uploader.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| error |")
	seconds := func(cell string) int {
		number, _ := strconv.Atoi(strings.NewReplacer(",", "", " s", "", " ", "").Replace(cell))
		return number
	}
	seen := 0
	for _, line := range strings.Split(table, "\n")[2:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(line, "|")
		told := row{nil, pause{seconds(cells[3]), seconds(cells[4])}, cells[5] == " yes "}
		for index, word := range strings.Split(cells[1], "`") {
			if index%2 == 1 {
				told.errors = append(told.errors, word)
			}
		}
		wanted := row{nil, sameToken, true}
		if told.errors != nil {
			wanted = rows[whyOf(told.errors[0])]
		}
		expect(t, line, told, wanted)
		seen++
	}
	expect(t, "rows", seen, len(rows)+1)
}

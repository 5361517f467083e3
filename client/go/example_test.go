package c2cauth_test

import (
	"context"
	"errors"
	"log"
	"os/signal"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"

	c2cauth "c2c-authd.invalid/client/go"
)

// send is your request to the API, with the headers of docs/uploader.md. It returns the status; 0 is no answer. An http.Client
// follows redirects with the token, unless its CheckRedirect returns http.ErrUseLastResponse.
func send(token string) int { return 200 }

// A program that sends one file, whatever happens meanwhile. Compiled by each test, so that it stays right.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	conn, err := dbus.ConnectSystemBus()
	if err != nil {
		log.Fatal(err)
	}
	source, err := c2cauth.New(conn, nil)
	if err != nil {
		log.Fatal(err)
	}
	for {
		token, err := source.Token(ctx, 0)
		var failure *c2cauth.Error
		switch {
		case errors.As(err, &failure) && !failure.Final():
			log.Print(err) // the next call waits by itself
			continue
		case err != nil:
			log.Fatal(err)
		}
		switch status := send(token.AccessToken); {
		case status == 401:
			source.Rejected(ctx, token.Generation)
		// Paused, too many requests, a server or a network in trouble: the token is good.
		case status == 0 || status/100 == 3 || status == 409 || status == 429 || status >= 500:
			time.Sleep(30 * time.Second)
		default:
			return
		}
	}
}

package c2cauth_test

import (
	"context"
	"errors"
	"log"
	"os/signal"
	"syscall"

	"github.com/godbus/dbus/v5"

	c2cauth "c2c-authd.invalid/client/go"
)

// send is your request to the API, with the headers of docs/uploader.md. It returns the status.
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
		if send(token.AccessToken) != 401 {
			return
		}
		source.Rejected(ctx, token.Generation)
	}
}

/* A token for each request to the API, by the rules of docs/uploader.md, on sd-bus (systemd 252 or later).
 * uploader.c is a whole program.
 *
 * Take c2c-auth.h and c2c-auth.c into your program: cc -std=gnu11 … $(pkg-config --cflags --libs libsystemd). Give the source a
 * connection of its own, which the daemon knows its caller by, and use it in one thread. */
#ifndef C2C_AUTH_H
#define C2C_AUTH_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

/* A row of the table of docs/uploader.md: why there is no token. */
enum c2c_why {
    C2C_TOKEN,        /* there is one */
    C2C_NOT_PAIRED,   /* nobody has paired the device, or the pairing ended */
    C2C_NO_TOKEN,     /* none now; the daemon keeps trying */
    C2C_TOO_OFTEN,    /* this user calls too often */
    C2C_NOT_ACCEPTED, /* a person has to act; it comes once an hour */
    C2C_REFUSED,      /* this call is refused, however often it is made */
    C2C_NO_DAEMON,    /* nobody owns the daemon's name, or its owner does not answer */
    C2C_NO_BUS,       /* the connection is lost: make a new one, and a new source */
    C2C_STOPPED,      /* the host's `stop`, or its `wait`, ended it; the rule is as before */
};

/* Every further call gives this, at once. */
bool c2c_is_final(enum c2c_why why);
/* A person has to act. */
bool c2c_is_for_a_person(enum c2c_why why);

/* A bearer token for one request. Never log or store it. Zero it before the first use. */
struct c2c_token {
    char *access_token;
    uint32_t expires_in; /* seconds, at least 1 */
    uint64_t generation;
};
/* Wipes and frees the token's text. */
void c2c_token_clear(struct c2c_token *token);

/* Time, and where a thread waits. A test has its own. */
struct c2c_host {
    uint64_t (*now)(void *data); /* µs, never 0, never back */
    /* Returns when the bus has something to read, at `until` (UINT64_MAX: never) or before. Negative ends the wait. */
    int (*wait)(void *data, sd_bus *bus, uint64_t until);
    void *data;
    volatile sig_atomic_t stop; /* a handler of signals sets it; c2c_source_token looks before a call, and within 1 s in
                                 * a wait. A call that is out ends within 25 s */
};
/* CLOCK_MONOTONIC, and poll(2). */
extern const struct c2c_host c2c_host_default;

struct c2c_source;
/* Listens to the daemon, which may be down. The host is borrowed; NULL is the default. Returns 0 or -errno. */
int c2c_source_new(struct c2c_source **source, sd_bus *bus, const struct c2c_host *host);
void c2c_source_free(struct c2c_source *source);
/* A token that lives at least so many seconds; 0 is the daemon's default. After an error it first waits as long as the table has it,
 * then asks once. So call it in a loop, without a pause of your own, until it is final. What was in `token` is wiped. */
enum c2c_why c2c_source_token(struct c2c_source *source, uint32_t min_validity, struct c2c_token *token);
/* The API answered 401 to the token of this generation. c2c_source_token is the next call. */
void c2c_source_rejected(struct c2c_source *source, uint64_t generation);
/* The error's text, for people. Valid until the next call. */
const char *c2c_source_text(const struct c2c_source *source);

/* The rule by itself, for a program with an event loop and calls of its own. It has no clock: times come in, in µs. */
struct c2c_rule {
    enum c2c_why why;
    unsigned failures, rejections;
    uint64_t failed_at, rejected, not_before;
};
/* The row of an error, by its whole name. */
enum c2c_why c2c_why_of(const char *name);
/* News ends the pause of this row: AccessTokenChanged, or a new owner of the daemon's name. */
bool c2c_until_news(enum c2c_why why);
/* The answer to a call for a token was an error. */
void c2c_rule_failed(struct c2c_rule *rule, uint64_t now, enum c2c_why why);
/* The answer was a token. Returns until when no request may be made with it, or 0. News ends that too: call again. */
uint64_t c2c_rule_served(struct c2c_rule *rule, uint64_t now, uint64_t generation);
/* The API answered 401. Several answers to one token count once. */
void c2c_rule_rejected(struct c2c_rule *rule, uint64_t now, uint64_t generation);
/* When a timer allows the next call: 0 is at once, UINT64_MAX never. */
uint64_t c2c_rule_next_call(const struct c2c_rule *rule);

#endif

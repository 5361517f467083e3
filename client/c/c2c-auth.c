/* See c2c-auth.h. The rule comes first, which decides; then the source, which calls and waits.
 * Must never: keep a token, decide what the daemon decides, print. */
#define _GNU_SOURCE
#include "c2c-auth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAME "org.cameratocloud.Auth1"
#define PATH "/org/cameratocloud/Auth1"
#define TOKENS NAME ".Tokens"
#define DBUS "org.freedesktop.DBus"
#define SECOND UINT64_C(1000000)
#ifndef C2C_CALL_LIMIT /* the daemon answers within 20 s */
#define C2C_CALL_LIMIT (25 * SECOND)
#endif

/* The table of docs/uploader.md: the last words of the errors' names, the first and the longest pause in seconds, and whether news ends
 * it. A test holds the two against each other. */
static const struct row {
    const char *errors;
    unsigned first, longest;
    bool until_news;
} rows[] = {
    [C2C_NOT_PAIRED] = {" NotPaired ", 0, 0, true},
    [C2C_NO_TOKEN] = {" Offline ClockNotSet ServerError StorageFailed Timeout Failed ", 5, 60, true},
    [C2C_TOO_OFTEN] = {" LimitsExceeded ", 1, 60, false},
    [C2C_NOT_ACCEPTED] = {" ClientRejected NotProvisioned ", 3600, 3600, true},
    [C2C_REFUSED] = {" AccessDenied InvalidArgs ", 0, 0, false},
    [C2C_NO_DAEMON] = {" ServiceUnknown NameHasNoOwner NoReply TimedOut ", 5, 60, true},
    [C2C_NO_BUS] = {" Disconnected ", 0, 0, false},
};
/* A rejected token that came back is good for a request after this pause. */
static const struct row same_token = {"", 2, 60, true};

static uint64_t doubled(const struct row *row, unsigned times) {
    uint64_t pause = (uint64_t) row->first << (times < 16 ? times : 16);
    return (pause < row->longest ? pause : row->longest) * SECOND;
}

static bool starts_with(const char *text, const char *start) {
    return !strncmp(text, start, strlen(start));
}

enum c2c_why c2c_why_of(const char *name) {
    const char *dot = strrchr(name, '.');
    char word[64];
    snprintf(word, sizeof word, " %s ", dot ? dot + 1 : name);
    /* An activated unit that failed is told by the bus's and systemd's own names. */
    if (starts_with(name, DBUS ".Error.Spawn.") || starts_with(name, "org.freedesktop.systemd1."))
        return C2C_NO_DAEMON;
    for (enum c2c_why why = C2C_NOT_PAIRED; why <= C2C_NO_BUS; why++)
        if (strstr(rows[why].errors, word))
            return why;
    return C2C_NO_TOKEN; /* a newer daemon's word is one that passes */
}

bool c2c_until_news(enum c2c_why why) {
    return why >= C2C_NOT_PAIRED && why <= C2C_NO_BUS && rows[why].until_news;
}

bool c2c_is_final(enum c2c_why why) {
    return why == C2C_REFUSED || why == C2C_NO_BUS;
}

bool c2c_is_for_a_person(enum c2c_why why) {
    return why == C2C_NOT_ACCEPTED || why == C2C_REFUSED;
}

void c2c_rule_failed(struct c2c_rule *rule, uint64_t now, enum c2c_why why) {
    rule->failures = rule->why == why ? rule->failures + 1 : 0;
    rule->why = why;
    rule->failed_at = now;
}

uint64_t c2c_rule_served(struct c2c_rule *rule, uint64_t now, uint64_t generation) {
    rule->why = C2C_TOKEN;
    if (generation != rule->rejected) {
        rule->rejected = rule->not_before = 0;
        return 0;
    }
    if (!rule->not_before)
        rule->not_before = now + doubled(&same_token, rule->rejections);
    return rule->not_before > now ? rule->not_before : 0;
}

void c2c_rule_rejected(struct c2c_rule *rule, uint64_t now, uint64_t generation) {
    if (generation > rule->rejected) {
        rule->rejected = generation;
        rule->rejections = 0;
        rule->not_before = 0;
    } else if (generation == rule->rejected && rule->not_before && rule->not_before <= now) {
        /* Before that, no request left since the last rejection. */
        rule->rejections++;
        rule->not_before = 0;
    }
}

uint64_t c2c_rule_next_call(const struct c2c_rule *rule) {
    if (rule->why == C2C_TOKEN)
        return 0;
    const struct row *row = &rows[rule->why];
    return row->first ? rule->failed_at + doubled(row, rule->failures) : UINT64_MAX;
}

struct c2c_source {
    sd_bus *bus;
    sd_bus_slot *changes, *owners;
    const struct c2c_host *host;
    struct c2c_rule rule;
    bool news;
    char owner[256], *text;
};

static uint64_t monotonic(void *data) {
    struct timespec now = {0};
    (void) data;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * SECOND + (uint64_t) now.tv_nsec / 1000 + 1;
}

static int wait_on_bus(void *data, sd_bus *bus, uint64_t until) {
    uint64_t now = monotonic(data), left = until > now ? until - now : 0;
    int done = sd_bus_wait(bus, left < SECOND ? left : SECOND); /* a signal right before it is noticed after 1 s */
    return done == -EINTR ? 0 : done;
}

const struct c2c_host c2c_host_default = {.now = monotonic, .wait = wait_on_bus};

/* A bus delivers a signal that names its receiver, whoever sends it, and sd-bus takes any sender for a well-known name. */
static bool is_from(sd_bus_message *signal, const char *sender) {
    const char *from = sd_bus_message_get_sender(signal);
    return from && *sender && !strcmp(from, sender);
}

static int heard(sd_bus_message *signal, void *data, sd_bus_error *error) {
    struct c2c_source *source = data;
    const char *name, *before, *owner;
    (void) error;
    if (sd_bus_message_is_signal(signal, TOKENS, "AccessTokenChanged")) {
        source->news |= is_from(signal, source->owner);
    } else if (is_from(signal, DBUS) && sd_bus_message_read(signal, "sss", &name, &before, &owner) > 0 && !strcmp(name, NAME)) {
        snprintf(source->owner, sizeof source->owner, "%s", owner);
        source->news |= *owner != 0;
    }
    return 0;
}

int c2c_source_new(struct c2c_source **made, sd_bus *bus, const struct c2c_host *host) {
    struct c2c_source *source = calloc(1, sizeof *source);
    sd_bus_message *reply = NULL;
    const char *owner;
    if (!source)
        return -ENOMEM;
    source->bus = sd_bus_ref(bus);
    source->host = host ? host : &c2c_host_default;
    int done = sd_bus_match_signal(bus, &source->changes, NAME, PATH, TOKENS, "AccessTokenChanged", heard, source);
    if (done >= 0)
        done = sd_bus_add_match(bus, &source->owners,
                                "type='signal',sender='" DBUS "',member='NameOwnerChanged',arg0='" NAME "'", heard, source);
    if (done < 0) {
        c2c_source_free(source);
        return done;
    }
    /* Where there is none yet, a signal tells the first one. */
    if (sd_bus_call_method(bus, DBUS, "/org/freedesktop/DBus", DBUS, "GetNameOwner", NULL, &reply, "s", NAME) >= 0 &&
        sd_bus_message_read(reply, "s", &owner) > 0)
        snprintf(source->owner, sizeof source->owner, "%s", owner);
    sd_bus_message_unref(reply);
    *made = source;
    return 0;
}

void c2c_source_free(struct c2c_source *source) {
    if (!source)
        return;
    sd_bus_slot_unref(source->changes);
    sd_bus_slot_unref(source->owners);
    sd_bus_unref(source->bus);
    free(source->text);
    free(source);
}

const char *c2c_source_text(const struct c2c_source *source) {
    return source->text ? source->text : "";
}

void c2c_token_clear(struct c2c_token *token) {
    if (token->access_token)
        explicit_bzero(token->access_token, strlen(token->access_token));
    free(token->access_token);
    memset(token, 0, sizeof *token);
}

static enum c2c_why says(struct c2c_source *source, enum c2c_why why, const char *text) {
    free(source->text);
    source->text = strdup(text);
    return why;
}

/* Reads what the bus has. Negative: it is gone. */
static int drain(struct c2c_source *source) {
    int done;
    while ((done = sd_bus_process(source->bus, NULL)) > 0)
        ;
    return done;
}

/* Until then, or until there is news where that counts. C2C_TOKEN: the wait is over. */
static enum c2c_why waits(struct c2c_source *source, uint64_t until, bool for_news) {
    const struct c2c_host *host = source->host;
    for (;;) {
        if (host->stop)
            return says(source, C2C_STOPPED, "stopped");
        int done = drain(source);
        if (done >= 0 && ((for_news && source->news) || host->now(host->data) >= until))
            return C2C_TOKEN;
        done = done < 0 ? done : host->wait(host->data, source->bus, until);
        if (done < 0 && sd_bus_is_open(source->bus) <= 0)
            return says(source, C2C_NO_BUS, "the bus is gone");
        if (done < 0)
            return says(source, C2C_STOPPED, strerror(-done));
    }
}

/* One call. C2C_TOKEN: `reply` has the answer. */
static enum c2c_why call(struct c2c_source *source, const char *member, sd_bus_message **reply, char type, const void *argument) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *message = NULL;
    uint64_t sent = monotonic(NULL);
    int done = sd_bus_message_new_method_call(source->bus, &message, NAME, PATH, TOKENS, member);
    if (done >= 0)
        done = sd_bus_message_append_basic(message, type, argument);
    if (done >= 0)
        done = sd_bus_call(source->bus, message, C2C_CALL_LIMIT, &error, reply);
    sd_bus_message_unref(message);
    if (done >= 0)
        return C2C_TOKEN;
    if (!sd_bus_error_is_set(&error))
        sd_bus_error_set_errno(&error, done);
    enum c2c_why why = c2c_why_of(error.name);
    if (sd_bus_is_open(source->bus) <= 0)
        why = C2C_NO_BUS;
    else if (done == -ETIMEDOUT && monotonic(NULL) - sent >= C2C_CALL_LIMIT)
        why = C2C_NO_DAEMON; /* sd-bus gives its own timeout the name of the daemon's */
    says(source, why, error.message ? error.message : error.name);
    sd_bus_error_free(&error);
    return why;
}

enum c2c_why c2c_source_token(struct c2c_source *source, uint32_t min_validity, struct c2c_token *token) {
    const struct c2c_host *host = source->host;
    struct c2c_rule *rule = &source->rule;
    c2c_token_clear(token);
    if (c2c_is_final(rule->why))
        return rule->why;
    enum c2c_why why = waits(source, c2c_rule_next_call(rule), c2c_until_news(rule->why));
    while (why == C2C_TOKEN) {
        sd_bus_message *reply = NULL;
        const char *text;
        uint32_t left;
        uint64_t generation;
        source->news = false;
        why = call(source, "GetAccessToken", &reply, 'u', &min_validity);
        uint64_t now = host->now(host->data);
        if (why == C2C_TOKEN && sd_bus_message_read(reply, "sut", &text, &left, &generation) <= 0)
            why = says(source, C2C_NO_TOKEN, "the answer is none");
        if (why != C2C_TOKEN) {
            sd_bus_message_unref(reply);
            c2c_rule_failed(rule, now, why);
            return why;
        }
        sd_bus_message_sensitive(reply);
        uint64_t until = c2c_rule_served(rule, now, generation), pause = until ? until - now : 0;
        if (until)
            why = waits(source, until, true);
        if (why == C2C_TOKEN && !(until && source->news) && left > pause / SECOND) {
            *token = (struct c2c_token){strdup(text), left - (uint32_t) (pause / SECOND), generation};
            if (!token->access_token)
                why = says(source, C2C_STOPPED, strerror(ENOMEM));
            sd_bus_message_unref(reply);
            return why;
        }
        sd_bus_message_unref(reply);
    }
    if (why == C2C_NO_BUS)
        c2c_rule_failed(rule, host->now(host->data), why);
    return why;
}

void c2c_source_rejected(struct c2c_source *source, uint64_t generation) {
    sd_bus_message *reply = NULL;
    c2c_rule_rejected(&source->rule, source->host->now(source->host->data), generation);
    call(source, "RejectAccessToken", &reply, 't', &generation); /* the next call tells what an error means */
    sd_bus_message_unref(reply);
}

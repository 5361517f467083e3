/* Each row of docs/uploader.md under simulated time: the rule alone, and the source on a bus with a stand-in for the daemon.
 * Run by client/c/test, which starts the bus:  test docs/uploader.md PROGRAM…
 * Each program is an uploader whose requests never succeed, and which an interrupt ends. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "c2c-auth.h"

#define NAME "org.cameratocloud.Auth1"
#define PATH "/org/cameratocloud/Auth1"
#define OURS NAME ".Error."
#define BUS "org.freedesktop.DBus.Error."
#define SECOND UINT64_C(1000000)
#define NEVER UINT64_MAX

static const char *trying = "";
#define expect(holds, ...) \
    do { \
        if (!(holds)) { \
            fprintf(stderr, "%s:%d: %s: %s: ", __FILE__, __LINE__, trying, #holds); \
            fprintf(stderr, __VA_ARGS__); \
            fputc('\n', stderr); \
            exit(1); \
        } \
    } while (0)

/* Seconds, ended by -1. */
static void same(const long *told, size_t count, const long *wanted) {
    for (size_t i = 0; i < count || wanted[i] >= 0; i++)
        expect(i < count && told[i] == wanted[i], "number %zu is %ld, not %ld", i, i < count ? told[i] : -1, wanted[i]);
}
#define SAME(told, count, ...) same(told, count, (const long[]){__VA_ARGS__, -1})

/* The rule alone. */

struct answer {
    const char *error; /* NULL: a token */
    uint64_t generation, good_from;
};

/* The seconds of the calls and requests of a program that does what the rule says, with news at these seconds. */
struct told {
    long calls[64], requests[64];
    size_t called, requested;
};

static uint64_t after(const uint64_t *news, uint64_t now) {
    for (; news && *news; news++)
        if (*news > now)
            return *news;
    return NEVER;
}

static struct told simulated(struct answer (*answer)(uint64_t), const uint64_t *news, uint64_t end) {
    struct c2c_rule rule = {0};
    struct told told = {0};
    uint64_t now = 0;
    /* Times begin at one second, because 0 is none. */
    for (;;) {
        uint64_t next = c2c_rule_next_call(&rule);
        next = next == 0 ? now : next == NEVER ? NEVER : next / SECOND - 1;
        if (rule.why != C2C_TOKEN && c2c_until_news(rule.why) && after(news, now) < next)
            next = after(news, now);
        if (next >= end)
            return told;
        now = next;
        expect(told.called < 64, "a flood");
        told.calls[told.called++] = (long) now;
        struct answer got = answer(now);
        if (got.error) {
            c2c_rule_failed(&rule, (now + 1) * SECOND, c2c_why_of(got.error));
            continue;
        }
        uint64_t until = c2c_rule_served(&rule, (now + 1) * SECOND, got.generation);
        if (until && after(news, now) < until / SECOND - 1) {
            now = after(news, now);
            continue;
        }
        now = until ? until / SECOND - 1 : now;
        if (now >= end)
            return told;
        told.requests[told.requested++] = (long) now;
        if (now >= got.good_from)
            now += 60; /* the next file is recorded a minute later */
        else
            c2c_rule_rejected(&rule, (now + 1) * SECOND, got.generation);
    }
}

static struct answer ends_and_comes_back(uint64_t now) {
    return now >= 10 && now < 20 ? (struct answer){NULL, 1, 0} : (struct answer){OURS "Offline", 0, 0};
}
static struct answer changes(uint64_t now) {
    return (struct answer){now < 15 ? OURS "Offline" : BUS "LimitsExceeded", 0, 0};
}
static struct answer always_dead(uint64_t now) {
    (void) now;
    return (struct answer){NULL, 7, NEVER};
}
static struct answer another(uint64_t now) {
    return now < 20 ? (struct answer){NULL, 7, NEVER} : (struct answer){NULL, 8, 25};
}
static struct answer good_after_all(uint64_t now) {
    (void) now;
    return (struct answer){NULL, 7, 1};
}

static void the_rule(void) {
    trying = "pauses begin anew after a token and after another error";
    struct told told = simulated(ends_and_comes_back, NULL, 100);
    SAME(told.calls, told.called, 0, 5, 15, 75, 80, 90);
    told = simulated(changes, NULL, 20);
    SAME(told.calls, told.called, 0, 5, 15, 16, 18);
    trying = "a rejected token that comes back is used after 2 s that double to 60";
    told = simulated(always_dead, NULL, 300);
    SAME(told.requests, told.requested, 0, 2, 6, 14, 30, 62, 122, 182, 242);
    trying = "another generation resets the pause, and news of it ends it";
    told = simulated(another, (const uint64_t[]){20, 0}, 90);
    SAME(told.requests, told.requested, 0, 2, 6, 14, 20, 22, 26, 86);
    trying = "the API takes the token after all, and no request waits any more";
    told = simulated(good_after_all, NULL, 200);
    SAME(told.requests, told.requested, 0, 2, 62, 122, 182);
    trying = "several requests that found one token dead count once";
    struct c2c_rule rule = {0};
    c2c_rule_rejected(&rule, 1 * SECOND, 7);
    c2c_rule_rejected(&rule, 1 * SECOND, 7);
    expect(c2c_rule_served(&rule, 1 * SECOND, 7) == 3 * SECOND, "2 s");
    c2c_rule_rejected(&rule, 2 * SECOND, 7); /* it left before the pause */
    c2c_rule_rejected(&rule, 2 * SECOND, 6);
    expect(c2c_rule_served(&rule, 2 * SECOND, 7) == 3 * SECOND, "the same 2 s");
    expect(c2c_rule_served(&rule, 3 * SECOND, 7) == 0, "it is good now");
    c2c_rule_rejected(&rule, 4 * SECOND, 7);
    expect(c2c_rule_served(&rule, 4 * SECOND, 7) == 8 * SECOND, "4 s");
}

/* The rows as the page has them: names, pauses, news. */
static void the_page(const char *path) {
    FILE *page = fopen(path, "r");
    char line[1024];
    int found = 0;
    bool inside = false;
    expect(page, "%s", path);
    while (fgets(line, sizeof line, page)) {
        inside = !strncmp(line, "| error |", 9) || (inside && *line == '|');
        if (!inside || line[1] == '-' || !strncmp(line, "| error |", 9))
            continue;
        char *cells[6], *rest = line + 1, *names;
        for (int i = 0; i < 5; i++)
            cells[i] = strsep(&rest, "|");
        trying = "the page";
        long pauses[2];
        for (int i = 0; i < 2; i++) {
            char digits[16] = "", *to = digits;
            for (const char *from = cells[2 + i]; *from; from++)
                if (*from >= '0' && *from <= '9')
                    *to++ = *from;
            pauses[i] = *digits ? atol(digits) : 0;
        }
        bool is_news = !strcmp(cells[4], " yes ");
        names = cells[0];
        found++;
        if (!strchr(names, '`')) {
            expect(pauses[0] == 2 && pauses[1] == 60 && is_news, "the last row is tried by the_rule");
            continue;
        }
        for (strsep(&names, "`"); names; strsep(&names, "`")) {
            const char *name = strsep(&names, "`");
            struct c2c_rule rule = {0};
            enum c2c_why why = c2c_why_of(name);
            c2c_rule_failed(&rule, SECOND, why);
            uint64_t first = c2c_rule_next_call(&rule);
            for (int i = 0; i < 40; i++)
                c2c_rule_failed(&rule, SECOND, why);
            uint64_t last = c2c_rule_next_call(&rule);
            expect(first == (pauses[0] ? (uint64_t) (pauses[0] + 1) * SECOND : NEVER), "%s: first pause", name);
            expect(last == (pauses[1] ? (uint64_t) (pauses[1] + 1) * SECOND : NEVER), "%s: longest pause", name);
            expect(c2c_until_news(why) == is_news, "%s: news", name);
            expect(c2c_is_final(why) == (!pauses[0] && !is_news), "%s: final", name);
        }
    }
    fclose(page);
    expect(found == 8, "the page has %d rows", found);
}

/* A stand-in for the daemon, a process of its own that is told what to do over the bus. */

static char error_name[128];
static uint64_t generation = 7;
static uint32_t called;
static bool is_silent;

static int get_token(sd_bus_message *call, void *data, sd_bus_error *error) {
    (void) data;
    called++;
    if (is_silent)
        return 1;
    if (*error_name)
        return sd_bus_error_set(error, error_name, "refused");
    return sd_bus_reply_method_return(call, "sut", "token", (uint32_t) 60, generation);
}
static int reject_token(sd_bus_message *call, void *data, sd_bus_error *error) {
    (void) data, (void) error;
    return sd_bus_reply_method_return(call, "");
}
static int become(sd_bus_message *call, void *data, sd_bus_error *error) {
    (void) data, (void) error;
    const char *name;
    sd_bus_message_read(call, "st", &name, &generation);
    snprintf(error_name, sizeof error_name, "%s", name);
    uint32_t before = called;
    called = 0;
    return sd_bus_reply_method_return(call, "u", before);
}
static int tell(sd_bus_message *call, void *data, sd_bus_error *error) {
    (void) data, (void) error;
    sd_bus *bus = sd_bus_message_get_bus(call);
    const char *what;
    sd_bus_message_read(call, "s", &what);
    if (!strcmp(what, "signal"))
        sd_bus_emit_signal(bus, PATH, NAME ".Tokens", "AccessTokenChanged", "t", generation);
    if (!strcmp(what, "restart") || !strcmp(what, "leave"))
        sd_bus_release_name(bus, NAME);
    if (!strcmp(what, "restart") || !strcmp(what, "come"))
        sd_bus_request_name(bus, NAME, 0);
    is_silent = !strcmp(what, "silent");
    return sd_bus_reply_method_return(call, "");
}
static const sd_bus_vtable tokens[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("GetAccessToken", "u", "sut", get_token, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("RejectAccessToken", "t", "", reject_token, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};
static const sd_bus_vtable test[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Become", "st", "u", become, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Tell", "s", "", tell, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

static void stand_in(int ready) {
    sd_bus *bus;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (sd_bus_open_user(&bus) < 0 || sd_bus_add_object_vtable(bus, NULL, PATH, NAME ".Tokens", tokens, NULL) < 0 ||
        sd_bus_add_object_vtable(bus, NULL, PATH, "test.Stub", test, NULL) < 0 || sd_bus_request_name(bus, NAME, 0) < 0 ||
        sd_bus_request_name(bus, "test.Stub", 0) < 0 || write(ready, "", 1) != 1)
        _exit(1);
    while (sd_bus_process(bus, NULL) > 0 || sd_bus_wait(bus, UINT64_MAX) >= 0)
        ;
    _exit(0);
}

static sd_bus *control;

/* Returns how often it was asked for a token since the last one. */
static uint32_t becomes(const char *error, uint64_t of) {
    sd_bus_message *reply = NULL;
    uint32_t count = 0;
    int done = sd_bus_call_method(control, "test.Stub", PATH, "test.Stub", "Become", NULL, &reply, "st", error, of);
    expect(done >= 0 && sd_bus_message_read(reply, "u", &count) > 0, "%d", done);
    sd_bus_message_unref(reply);
    return count;
}
static void told_to(const char *what) {
    expect(sd_bus_call_method(control, "test.Stub", PATH, "test.Stub", "Tell", NULL, NULL, "s", what) >= 0, "%s", what);
}

/* The source under simulated time: a wait is over at once, and news comes at its second. */

struct clock {
    uint64_t now, end;
    const uint64_t *news;
    const char *kind;
};
static uint64_t clock_now(void *data) {
    return ((struct clock *) data)->now + SECOND;
}
static int clock_wait(void *data, sd_bus *bus, uint64_t until) {
    struct clock *clock = data;
    uint64_t next = after(clock->news, clock->now / SECOND);
    until = until == NEVER ? NEVER : until - SECOND;
    if (next != NEVER && next * SECOND < until) {
        clock->now = next * SECOND;
        told_to(clock->kind);
        return sd_bus_wait(bus, 5 * SECOND);
    }
    if (until >= clock->end)
        return -ENODATA;
    clock->now = until;
    return 0;
}

static sd_bus *client(void) {
    sd_bus *bus;
    expect(sd_bus_open_user(&bus) >= 0, "no bus");
    return bus;
}

/* The seconds at which it calls, with this answer and this news. */
static void paces(const char *error, enum c2c_why row, const char *kind, const uint64_t *news, uint64_t end, const long *wanted) {
    trying = error;
    becomes(error, 7);
    struct clock clock = {0, end * SECOND, news, kind};
    struct c2c_host host = {clock_now, clock_wait, &clock, 0};
    sd_bus *bus = client();
    struct c2c_source *source;
    struct c2c_token token = {0};
    long calls[64];
    size_t count = 0;
    expect(c2c_source_new(&source, bus, &host) == 0, "no source");
    for (enum c2c_why why; (why = c2c_source_token(source, 0, &token)) != C2C_STOPPED; ) {
        expect(why == row, "row %d: %s", why, c2c_source_text(source));
        if (c2c_is_final(why) && count++)
            break;
        expect(count < 60, "a flood");
        if (!c2c_is_final(why))
            calls[count++] = (long) (clock.now / SECOND);
    }
    expect(!c2c_is_final(row) || count == 2, "it is not final");
    if (c2c_is_final(row))
        expect(becomes("", 7) == 1, "it is called again");
    else {
        expect(becomes("", 7) == count, "not as often as it said");
        same(calls, count, wanted);
    }
    c2c_source_free(source);
    sd_bus_flush_close_unref(bus);
}
#define NEWS(...) ((const uint64_t[]){__VA_ARGS__, 0})
#define CALLS(...) ((const long[]){__VA_ARGS__, -1})

static void the_source(void) {
    const char *passing[] = {OURS "Offline", OURS "ClockNotSet", OURS "ServerError", OURS "StorageFailed", BUS "Timeout",
                             BUS "Failed", OURS "OnlyANewerDaemonHasThis"};
    const char *absent[] = {BUS "ServiceUnknown", BUS "NameHasNoOwner", BUS "NoReply", BUS "TimedOut", BUS "Spawn.ChildExited",
                            "org.freedesktop.systemd1.NoSuchUnit"};
    for (size_t i = 0; i < sizeof passing / sizeof *passing + sizeof absent / sizeof *absent; i++) {
        size_t few = sizeof passing / sizeof *passing;
        const char *error = i < few ? passing[i] : absent[i - few];
        enum c2c_why row = i < few ? C2C_NO_TOKEN : C2C_NO_DAEMON;
        paces(error, row, "signal", NULL, 300, CALLS(0, 5, 15, 35, 75, 135, 195, 255));
        paces(error, row, i % 2 ? "signal" : "restart", NEWS(2), 7, CALLS(0, 2));
    }
    paces(OURS "NotPaired", C2C_NOT_PAIRED, "signal", NULL, 2592000, CALLS(0));
    paces(OURS "NotPaired", C2C_NOT_PAIRED, "signal", NEWS(40, 90000), 2592000, CALLS(0, 40, 90000));
    paces(OURS "NotPaired", C2C_NOT_PAIRED, "restart", NEWS(40), 2592000, CALLS(0, 40));
    paces(BUS "LimitsExceeded", C2C_TOO_OFTEN, "signal", NULL, 200, CALLS(0, 1, 3, 7, 15, 31, 63, 123, 183));
    paces(BUS "LimitsExceeded", C2C_TOO_OFTEN, "signal", NEWS(4, 5), 8, CALLS(0, 1, 3, 7));
    paces(OURS "ClientRejected", C2C_NOT_ACCEPTED, "signal", NULL, 10000, CALLS(0, 3600, 7200));
    paces(OURS "NotProvisioned", C2C_NOT_ACCEPTED, "restart", NEWS(60), 3000, CALLS(0, 60));
    paces(BUS "AccessDenied", C2C_REFUSED, "signal", NEWS(1), 100, NULL);
    paces(BUS "InvalidArgs", C2C_REFUSED, "signal", NEWS(1), 100, NULL);
    expect(c2c_is_for_a_person(C2C_REFUSED) && c2c_is_for_a_person(C2C_NOT_ACCEPTED) && !c2c_is_for_a_person(C2C_NO_TOKEN), "tell");
}

static void rejects(void) {
    struct clock clock = {0, 100 * SECOND, NULL, "signal"};
    struct c2c_host host = {clock_now, clock_wait, &clock, 0};
    sd_bus *bus = client();
    struct c2c_source *source;
    struct c2c_token token = {0};
    trying = "a rejected token is held back, and news of another ends that";
    becomes("", 7);
    expect(c2c_source_new(&source, bus, &host) == 0, "no source");
    expect(c2c_source_token(source, 0, &token) == C2C_TOKEN && token.generation == 7 && token.expires_in == 60, "first");
    expect(!strcmp(token.access_token, "token"), "its text");
    c2c_source_rejected(source, 7);
    expect(c2c_source_token(source, 0, &token) == C2C_TOKEN && token.expires_in == 58, "%u s left", token.expires_in);
    expect(clock.now == 2 * SECOND, "after 2 s");
    c2c_source_rejected(source, 7);
    clock.news = NEWS(3);
    expect(becomes("", 7) == 2, "two calls");
    expect(c2c_source_token(source, 0, &token) == C2C_TOKEN && clock.now == 6 * SECOND, "a signal, and the same token: 4 s");
    expect(becomes("", 8) == 2, "asked again at the signal");
    c2c_source_rejected(source, 7);
    expect(c2c_source_token(source, 0, &token) == C2C_TOKEN && token.generation == 8 && clock.now == 6 * SECOND, "at once");

    trying = "a program that is told to stop stops, and the news is for its next call";
    becomes(OURS "NotPaired", 8);
    expect(c2c_source_token(source, 0, &token) == C2C_NOT_PAIRED && !token.access_token, "not paired");
    host.stop = 1;
    expect(c2c_source_token(source, 0, &token) == C2C_STOPPED, "stopped");
    host.stop = 0;
    clock.news = NULL;
    told_to("signal");
    becomes("", 9);
    expect(sd_bus_wait(bus, 5 * SECOND) > 0, "the signal");
    expect(c2c_source_token(source, 0, &token) == C2C_TOKEN && token.generation == 9, "the news");

    trying = "a program that is told to stop makes no call that nothing holds back";
    host.stop = 1;
    becomes("", 9);
    expect(c2c_source_token(source, 0, &token) == C2C_STOPPED && !token.access_token, "stopped");
    expect(becomes("", 9) == 0, "no call");
    host.stop = 0;

    trying = "a signal of a stranger is no news";
    becomes(OURS "NotPaired", 9);
    expect(c2c_source_token(source, 0, &token) == C2C_NOT_PAIRED, "not paired");
    const char *us;
    sd_bus_message *forged;
    sd_bus_get_unique_name(bus, &us);
    for (int i = 0; i < 2; i++) {
        sd_bus_message_new_signal(control, &forged, i ? "/org/freedesktop/DBus" : PATH, i ? "org.freedesktop.DBus" : NAME ".Tokens",
                                  i ? "NameOwnerChanged" : "AccessTokenChanged");
        i ? sd_bus_message_append(forged, "sss", NAME, "", ":1.1") : sd_bus_message_append(forged, "t", (uint64_t) 10);
        sd_bus_message_set_destination(forged, us);
        sd_bus_send(control, forged, NULL);
        sd_bus_message_unref(forged);
        sd_bus_flush(control);
        expect(sd_bus_wait(bus, 5 * SECOND) > 0, "the forged one");
    }
    expect(becomes(OURS "NotPaired", 9) == 1, "one call");
    expect(c2c_source_token(source, 0, &token) == C2C_STOPPED, "nothing to wait for");
    expect(becomes("", 9) == 0, "no call");
    c2c_source_free(source);

    trying = "without a daemon the next owner is waited for";
    told_to("leave");
    clock = (struct clock){0, 100 * SECOND, NEWS(3), "come"};
    expect(c2c_source_new(&source, bus, &host) == 0, "no source");
    expect(c2c_source_token(source, 0, &token) == C2C_NO_DAEMON, "%s", c2c_source_text(source));
    expect(c2c_source_token(source, 0, &token) == C2C_TOKEN && clock.now == 3 * SECOND, "%s", c2c_source_text(source));

    trying = "a daemon that does not answer";
    told_to("silent");
    expect(c2c_source_token(source, 0, &token) == C2C_NO_DAEMON, "%s", c2c_source_text(source));
    told_to("");

    trying = "a lost bus is final, also for one who waits";
    becomes(OURS "NotPaired", 9);
    expect(c2c_source_token(source, 0, &token) == C2C_NOT_PAIRED, "not paired");
    sd_bus_close(bus);
    expect(c2c_source_token(source, 0, &token) == C2C_NO_BUS && c2c_is_final(C2C_NO_BUS), "%s", c2c_source_text(source));
    expect(c2c_source_token(source, 0, &token) == C2C_NO_BUS, "again");
    c2c_token_clear(&token);
    c2c_source_free(source);
    sd_bus_unref(bus);

    trying = "the default host has a clock and waits on the bus";
    bus = client();
    becomes("", 9);
    expect(c2c_source_new(&source, bus, NULL) == 0, "no source");
    expect(c2c_source_token(source, 0, &token) == C2C_TOKEN, "%s", c2c_source_text(source));
    c2c_source_rejected(source, 9);
    uint64_t before = c2c_host_default.now(NULL);
    expect(c2c_source_token(source, 0, &token) == C2C_TOKEN, "%s", c2c_source_text(source));
    expect(c2c_host_default.now(NULL) - before >= 19 * SECOND / 10, "2 s");
    c2c_token_clear(&token);
    c2c_source_free(source);
    sd_bus_flush_close_unref(bus);
}

/* uploader.c, to which the API never says 2xx. */
static void an_interrupt_ends(const char *program) {
    trying = program;
    becomes("", 9);
    pid_t pid = fork();
    if (pid == 0) {
        expect(freopen("/dev/null", "w", stdout) && freopen("/dev/null", "w", stderr), "no /dev/null");
        setenv("DBUS_SYSTEM_BUS_ADDRESS", getenv("DBUS_SESSION_BUS_ADDRESS"), 1);
        execl(program, program, "clip", NULL);
        _exit(127);
    }
    pid_t ended = 0;
    for (int i = 0; i < 500 && !ended && becomes("", 9) == 0; i++, ended = waitpid(pid, NULL, WNOHANG))
        usleep(10000);
    expect(!ended, "it ended by itself");
    kill(pid, SIGINT);
    for (int i = 0; i < 500 && !(ended = waitpid(pid, NULL, WNOHANG)); i++)
        usleep(10000);
    if (!ended)
        kill(pid, SIGKILL);
    expect(ended == pid, "it goes on");
}

int main(int count, char **arguments) {
    int ready[2];
    char byte;
    expect(count >= 2 && pipe(ready) == 0, "test docs/uploader.md PROGRAM…");
    the_rule();
    the_page(arguments[1]);
    pid_t stub = fork();
    if (stub == 0)
        stand_in(ready[1]);
    close(ready[1]);
    expect(read(ready[0], &byte, 1) == 1, "no stand-in");
    close(ready[0]);
    control = client();
    the_source();
    rejects();
    for (int i = 2; i < count; i++)
        an_interrupt_ends(arguments[i]);
    sd_bus_flush_close_unref(control);
    kill(stub, SIGTERM);
    waitpid(stub, NULL, 0);
    puts("client/c: each row of docs/uploader.md, and a rejected token");
    return 0;
}

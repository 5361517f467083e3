/* Shows a pairing code until the device is paired: the flow of a UI, on sd-bus. Ctrl-C cancels it.
 * cc pair.c -o pair $(pkg-config --cflags --libs libsystemd)   Another bus: DBUS_SYSTEM_BUS_ADDRESS. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>
#define NAME "org.cameratocloud.Auth1"
#define PAIRING NAME, "/org/cameratocloud/Auth1", NAME ".Pairing"
#define OWNER "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" NAME "'"
#define JOIN "not in the group c2c-ui: usermod -aG c2c-ui USER and a new login, or SupplementaryGroups=c2c-ui in a unit"
static sd_bus *bus;
static volatile sig_atomic_t started, over, interrupted; /* started: StartPairing answered. over: 2 is a failure */
static void interrupt(int) { interrupted = 1; }
static int denied(const sd_bus_error *why) { return sd_bus_error_has_name(why, SD_BUS_ERROR_ACCESS_DENIED); }

static int shown_code(sd_bus_message *code, void *, sd_bus_error *) {
    const char *key, *text;
    sd_bus_message_enter_container(code, 'a', "{sv}"); /* An error has none: the code ended, a signal follows. */
    for (; sd_bus_message_enter_container(code, 'e', "sv") > 0; sd_bus_message_exit_container(code)) {
        sd_bus_message_read(code, "s", &key);
        sd_bus_message_read(code, "v", "s", &text) > 0 ? printf("%s: %s\n", key, text) : sd_bus_message_skip(code, "v");
    }
    return 0;
}

static int told(sd_bus_message *news, void *starts, sd_bus_error *why) { /* An answer to StartPairing, or a signal. */
    const char *state = "the daemon", *reason = "gone", *owner = "";
    const sd_bus_error *refused = sd_bus_message_get_error(news);
    char *now = NULL;
    if (sd_bus_message_is_signal(news, NULL, "PairingStateChanged")) {
        sd_bus_message_read(news, "ss", &state, &reason);
    } else if (starts || (sd_bus_message_read(news, "sss", NULL, NULL, &owner) > 0 && *owner)) {
        started |= starts != NULL;
        if (denied(refused) || sd_bus_get_property_string(bus, PAIRING, "PairingState", why, &now) < 0) {
            if (!refused && !denied(why)) return sd_bus_error_free(why), 0; /* It left meanwhile; a signal follows. */
            return fprintf(stderr, "%s\n", denied(refused) || denied(why) ? JOIN : refused->message), over = 2;
        }
        state = now, reason = refused ? refused->message : "none";
    }
    printf("%s: %s\n", state, reason); /* docs/ui.md has the words for each. */
    if (!strcmp(state, "awaiting-user") && isatty(1)) /* What a unit prints is in the journal, where no code belongs. */
        sd_bus_call_method_async(bus, NULL, PAIRING, "GetPairingCode", shown_code, NULL, "");
    over = started && (!strcmp(state, "paired") || !strncmp(state, "un", 2)); /* unpaired, unprovisioned */
    return free(now), 0;
}

int main(void) {
    sigaction(SIGINT, &(struct sigaction){.sa_handler = interrupt, .sa_flags = SA_RESETHAND}, NULL);
    int done = sd_bus_open_system(&bus); /* Listen first: StartPairing may take 20 s. */
    done = done < 0 ? done : sd_bus_match_signal(bus, NULL, PAIRING, "PairingStateChanged", told, NULL);
    done = done < 0 ? done : sd_bus_add_match(bus, NULL, OWNER, told, NULL);
    done = done < 0 ? done : sd_bus_call_method_async(bus, NULL, PAIRING, "StartPairing", told, &bus, "a{sv}", 0);
    while (!over && !interrupted && done >= 0 && fflush(stdout) == 0)
        done = sd_bus_process(bus, NULL) ?: sd_bus_wait(bus, 1000000); /* µs, for a Ctrl-C right before it */
    if (interrupted)
        done = sd_bus_call_method(bus, PAIRING, "CancelPairing", NULL, NULL, "");
    return done < 0 ? fprintf(stderr, "%s\n", strerror(-done)), 1 : interrupted ? 130 : over != 1;
}

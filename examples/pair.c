/* Shows a pairing code until the device is paired: the flow of a UI, on sd-bus. An argument is another bus.
 * cc pair.c -o pair $(pkg-config --cflags --libs libsystemd) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#define NAME "org.cameratocloud.Auth1"
#define PATH "/org/cameratocloud/Auth1"
#define PAIRING NAME ".Pairing"

static sd_bus *bus;
static int started, over; /* started: StartPairing has answered */

static int shown_code(sd_bus_message *code, void *, sd_bus_error *) {
    const char *key, *text, *type;
    if (sd_bus_message_is_method_error(code, NULL)) /* The code ended meanwhile; a signal follows. */
        return printf("%s\n", sd_bus_message_get_error(code)->message), 0;
    if (sd_bus_message_enter_container(code, 'a', "{sv}") < 0)
        return 0;
    while (sd_bus_message_enter_container(code, 'e', "sv") > 0) {
        sd_bus_message_read(code, "s", &key);
        sd_bus_message_peek_type(code, NULL, &type);
        if (!strcmp(type, "s") && sd_bus_message_read(code, "v", "s", &text) > 0)
            printf("%s: %s\n", key, text);
        else
            sd_bus_message_skip(code, "v");
        sd_bus_message_exit_container(code);
    }
    return 0;
}

/* A signal, or the answer to StartPairing. Where the flow goes on after an error, the state says so. */
static int told(sd_bus_message *news, void *, sd_bus_error *) {
    const char *state = "", *reason = "none";
    char *now = NULL;
    if (sd_bus_message_is_signal(news, NULL, NULL)) {
        sd_bus_message_read(news, "ss", &state, &reason);
    } else if (sd_bus_get_property_string(bus, NAME, PATH, PAIRING, "PairingState", NULL, &now) >= 0) {
        started = 1, state = now;
        reason = sd_bus_message_is_method_error(news, NULL) ? sd_bus_message_get_error(news)->message : "none";
    }
    printf("%s: %s\n", state, reason); /* docs/ui.md has the words for each. */
    if (!strcmp(state, "awaiting-user"))
        sd_bus_call_method_async(bus, NULL, NAME, PATH, PAIRING, "GetPairingCode", shown_code, NULL, "");
    over = started && (!strcmp(state, "paired") || !strncmp(state, "un", 2)); /* unpaired, unprovisioned */
    return free(now), 0;
}

int main(int count, char **arguments) {
    int opened = count > 1 ? sd_bus_new(&bus) : sd_bus_open_system(&bus);
    if (count > 1 && (sd_bus_set_address(bus, arguments[1]) < 0 || sd_bus_set_bus_client(bus, 1) < 0 || sd_bus_start(bus) < 0))
        return 1;
    if (opened < 0 || sd_bus_match_signal(bus, NULL, NAME, PATH, PAIRING, "PairingStateChanged", told, NULL) < 0)
        return 1; /* Listen first: StartPairing may take 20 s. */
    sd_bus_call_method_async(bus, NULL, NAME, PATH, PAIRING, "StartPairing", told, NULL, "a{sv}", 0);
    for (int done = 1; !over && done >= 0 && fflush(stdout) == 0;)
        if ((done = sd_bus_process(bus, NULL)) == 0)
            done = sd_bus_wait(bus, UINT64_MAX);
    return !over;
}

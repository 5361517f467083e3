/* Sends one clip, whatever happens meanwhile: the loop of docs/uploader.md. Ctrl-C ends it.
 * cc -std=gnu11 uploader.c c2c-auth.c -o uploader $(pkg-config --cflags --libs libsystemd)   Another bus: DBUS_SYSTEM_BUS_ADDRESS. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "c2c-auth.h"

static struct c2c_host host;
static void interrupt(int number) {
    (void) number;
    host.stop = 1;
}

/* Your request to the API, with the headers of docs/uploader.md, which follows no redirect. Returns the status; 0 is no answer. */
static int send_clip(const char *token, const char *clip) {
    (void) token;
    printf("%s would be sent\n", clip);
    return 200;
}

/* Sends until the API takes or refuses it. Returns its status; negative is the end. */
static int deliver(struct c2c_source *source, const char *clip) {
    struct c2c_token token = {0};
    for (;;) {
        enum c2c_why why = c2c_source_token(source, 0, &token);
        if (why != C2C_TOKEN) {
            fprintf(stderr, "no token yet: %s\n", c2c_source_text(source)); /* the next call waits as long as it has to */
            if (why == C2C_STOPPED || c2c_is_final(why))
                return -1;
            continue;
        }
        uint64_t generation = token.generation;
        int status = send_clip(token.access_token, clip);
        c2c_token_clear(&token);
        if (status == 401)
            c2c_source_rejected(source, generation);
        else if (status == 0 || status / 100 == 3 || status == 409 || status == 429 || status >= 500)
            for (int i = 0; i < 30 && !host.stop; i++)
                sleep(1); /* paused, too many requests, a server or a network in trouble: the token is good */
        else
            return status;
    }
}

int main(int count, char **clips) {
    sd_bus *bus = NULL;
    struct c2c_source *source = NULL;
    host = c2c_host_default;
    sigaction(SIGINT, &(struct sigaction){.sa_handler = interrupt}, NULL);
    int done = sd_bus_open_system(&bus);
    done = done < 0 ? done : c2c_source_new(&source, bus, &host);
    if (done < 0)
        return fprintf(stderr, "the bus: %s\n", strerror(-done)), 1;
    for (int i = 1; i < count && !host.stop && done >= 0; i++)
        done = deliver(source, clips[i]);
    c2c_source_free(source);
    sd_bus_flush_close_unref(bus);
    return done < 0;
}

// The floor: what a service in C with sd-bus costs that answers as GetAccessToken does, with 1 kB.
// Built and started by benches/bus.rs:  sdbus ADDRESS NAME

#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>

static char token[1025];

static int get_access_token(sd_bus_message *call, void *userdata, sd_bus_error *error) {
    uint32_t min_validity;
    int r = sd_bus_message_read(call, "u", &min_validity);
    return r < 0 ? r : sd_bus_reply_method_return(call, "sut", token, (uint32_t) 28800, (uint64_t) 1);
}

static int token_state(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    return sd_bus_message_append(reply, "s", "valid");
}

static int generation(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    return sd_bus_message_append(reply, "t", (uint64_t) 1);
}

static const sd_bus_vtable table[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("GetAccessToken", "u", "sut", get_access_token, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_PROPERTY("TokenState", "s", token_state, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Generation", "t", generation, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_VTABLE_END,
};

int main(int count, char **arguments) {
    sd_bus *bus = NULL;
    memset(token, 'c', sizeof token - 1);
    if (count != 3 || sd_bus_new(&bus) < 0 || sd_bus_set_address(bus, arguments[1]) < 0 ||
        sd_bus_set_bus_client(bus, 1) < 0 || sd_bus_start(bus) < 0 ||
        sd_bus_add_object_vtable(bus, NULL, "/org/cameratocloud/Auth1", "org.cameratocloud.Auth1.Tokens", table, NULL) < 0 ||
        sd_bus_request_name(bus, arguments[2], 0) < 0)
        return 1;
    puts("started");
    fflush(stdout);
    for (;;) {
        int r = sd_bus_process(bus, NULL);
        if (r == 0)
            r = sd_bus_wait(bus, UINT64_MAX);
        if (r < 0)
            return 1;
    }
}

/* A desktop's notification service that shows nothing, since the service's on-screen display is switched on as well.
 *
 *   cc -O2 -o screen screen.c $(pkg-config --cflags --libs libsystemd)
 */
#include <stdio.h>
#include <systemd/sd-bus.h>

static int notify(sd_bus_message *call, void *data, sd_bus_error *error) {
    return sd_bus_reply_method_return(call, "u", 1);
}

static const sd_bus_vtable SCREEN[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Notify", "susssasa{sv}i", "u", notify, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

int main(void) {
    sd_bus *bus;
    if (sd_bus_open_user(&bus) < 0 ||
        sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/Notifications", "org.freedesktop.Notifications", SCREEN, NULL) < 0 ||
        sd_bus_request_name(bus, "org.freedesktop.Notifications", 0) < 0) {
        fprintf(stderr, "screen: no session bus, or there is a screen already\n");
        return 1;
    }
    while (sd_bus_wait(bus, UINT64_MAX) >= 0)
        while (sd_bus_process(bus, NULL) > 0) {
        }
    return 0;
}
